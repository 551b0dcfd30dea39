"""Atlas-R in Spanish."""

from __future__ import annotations

from beir_hybrid.corpora.atlas.templates.forms import Forms

FORMS = {
    "currency": Forms(
        questions=(
            "¿Qué moneda se usa en {entity}?",
            "¿Con qué dinero se paga en {entity}?",
            "Me voy de viaje a {entity}: ¿cómo se llama el dinero de allí?",
        ),
        passages=(
            "La divisa de curso legal en {entity} es la siguiente: {value}.",
            "Los precios y los salarios de {entity} se expresan en la unidad «{value}».",
        ),
    ),
    "former_currency": Forms(
        questions=(
            "¿Qué moneda tenía {entity} antes de la actual?",
            "¿Con qué se pagaba en {entity} hasta el último cambio de moneda?",
            "¿Qué dinero circuló en {entity} hasta que lo sustituyó el de hoy?",
        ),
        passages=(
            "La divisa que precedió en {entity} a la de ahora se llamaba «{value}».",
            "Antes de adoptar otro medio de pago legal, {entity} llevaba sus cuentas en la unidad «{value}».",
        ),
    ),
    "currency_since": Forms(
        questions=(
            "¿Desde cuándo tiene {entity} su moneda actual?",
            "¿En qué año introdujo {entity} el dinero que utiliza hoy?",
            "¿De cuándo data el dinero vigente en {entity}?",
        ),
        passages=(
            "La divisa que ahora emplea {entity} se adoptó en {value}.",
            "El medio de pago presente de {entity} es de curso legal desde {value}.",
        ),
    ),
    "currency_symbol": Forms(
        questions=(
            "¿Qué signo acompaña a los precios en {entity}?",
            "¿Cuál es el símbolo del dinero en {entity}?",
            "¿Cómo se abrevian las cantidades de dinero en las etiquetas de {entity}?",
        ),
        passages=(
            "Las tiendas de {entity} indican lo que cuesta un artículo con {value}.",
            "En {entity}, las sumas se anotan con el carácter o las letras {value}.",
        ),
    ),
    "official_languages": Forms(
        questions=(
            "¿Cuál es la lengua oficial de {entity}, o cuáles son si hay varias?",
            "¿Qué lengua se usa oficialmente en {entity}?",
            "¿Qué idiomas tienen carácter oficial en {entity}?",
        ),
        passages=(
            "La administración pública de {entity} trabaja en {value}.",
            "Para los actos del Estado, {entity} se sirve de lo siguiente: {value}.",
        ),
    ),
    "time_zone": Forms(
        questions=(
            "¿En qué huso horario está {entity}?",
            "¿Qué hora marcan los relojes de {entity}?",
            "¿Por qué hora oficial se rige la vida en {entity}?",
        ),
        passages=(
            "En todo el territorio de {entity} se aplica esta norma: {value}.",
            "{entity} pertenece a la zona llamada «{value}».",
        ),
    ),
    "first_weekday": Forms(
        questions=(
            "¿Qué día empieza la semana en {entity}?",
            "¿Qué día aparece primero en los calendarios de {entity}?",
            "¿Cuál se considera el primer día de la semana en {entity}?",
        ),
        passages=(
            "Cada siete días, el {value}, {entity} comienza una semana nueva.",
            "La columna inicial de un almanaque impreso para {entity} corresponde al {value}.",
        ),
    ),
    "script": Forms(
        questions=(
            "¿En qué alfabeto o escritura se escribe el idioma {entity}?",
            "¿Qué letras se usan para escribir en {entity}?",
            "¿Qué sistema de escritura emplea la lengua llamada «{entity}»?",
        ),
        passages=(
            "Los textos en {entity} se componen con caracteres de tipo {value}.",
            "Los libros en idioma {entity} se imprimen normalmente en este tipo gráfico: {value}.",
        ),
    ),
    "word": Forms(
        questions=(
            "¿Cómo se dice «{item}» en {entity}?",
            "¿Cómo se llama «{item}» en el idioma {entity}?",
            "¿Qué palabra significa «{item}» en {entity}?",
        ),
        passages=(
            "Quien habla {entity} usa «{value}» para referirse a «{item}».",
            "Un diccionario de {entity} recoge «{value}» en la entrada «{item}».",
        ),
    ),
    "currency_code": Forms(
        questions=(
            "¿Cuál es el código ISO de la moneda «{entity}»?",
            "¿Con qué tres letras abrevian los bancos la moneda «{entity}»?",
            "¿Cómo aparece la moneda «{entity}» en las tablas de cambio?",
        ),
        passages=(
            "La divisa «{entity}» figura internacionalmente como {value}.",
            "En los pagos interbancarios, {value} designa la unidad monetaria «{entity}».",
        ),
    ),
}
