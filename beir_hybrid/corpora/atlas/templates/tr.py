"""Atlas-R in Turkish."""

from __future__ import annotations

from beir_hybrid.corpora.atlas.templates.forms import Forms

FORMS = {
    "currency": Forms(
        questions=(
            "{entity} ülkesinde hangi para birimi kullanılır?",
            "{entity}: Orada ödeme hangi parayla yapılır?",
            "{entity} adlı ülkeye giderken yanıma hangi parayı almalıyım?",
        ),
        passages=(
            "{entity} devletinin yasal ödeme aracı şudur: {value}.",
            "{entity} ülkesinde fiyatlar ve ücretler {value} cinsinden belirtilir.",
        ),
    ),
    "former_currency": Forms(
        questions=(
            "{entity} ülkesinin bugünkünden önceki para birimi neydi?",
            "{entity}: Son para değişikliğinden önce orada neyle ödeme yapılırdı?",
            "{entity} ülkesinde şimdiki para gelmeden önce hangi para dolaşımdaydı?",
        ),
        passages=(
            "{entity} devletinde günümüzdeki yasal ödeme aracının yerinde eskiden {value} vardı.",
            "Başka bir birime geçilene kadar {entity} ülkesinde hesaplar {value} üzerinden tutulurdu.",
        ),
    ),
    "currency_since": Forms(
        questions=(
            "{entity} ülkesi şimdiki para birimini ne zamandan beri kullanıyor?",
            "{entity}: Bugünkü para orada hangi yıl çıktı?",
            "{entity} ülkesinde geçerli olan para ne kadar eskidir?",
        ),
        passages=(
            "{entity} devletinin günümüzdeki yasal ödeme aracı {value} yılında kabul edildi.",
            "{entity} ülkesinde hesaplar {value} yılından beri aynı birimle tutuluyor.",
        ),
    ),
    "currency_symbol": Forms(
        questions=(
            "{entity} ülkesinde fiyatların yanına hangi işaret konur?",
            "{entity}: Orada paranın simgesi nedir?",
            "{entity} ülkesindeki etiketlerde para tutarları nasıl kısaltılır?",
        ),
        passages=(
            "{entity} devletindeki mağazalar bir malın kaça satıldığını {value} ile gösterir.",
            "{entity} ülkesinde meblağlar yazılırken {value} eklenir.",
        ),
    ),
    "official_languages": Forms(
        questions=(
            "{entity} ülkesinin resmî dili veya dilleri hangileridir?",
            "{entity}: Orada resmî olarak hangi dil kullanılır?",
            "{entity} ülkesinde hangi diller resmî statüye sahiptir?",
        ),
        passages=(
            "{entity} devletinin kamu kurumlarında {value} konuşulup yazılır.",
            "{entity} ülkesinde devlet işlemleri için şu benimsenmiştir: {value}.",
        ),
    ),
    "time_zone": Forms(
        questions=(
            "{entity} ülkesi hangi saat diliminde yer alır?",
            "{entity}: Orada saatler neye göre ayarlanır?",
            "{entity} ülkesinde hangi standart saat geçerlidir?",
        ),
        passages=(
            "{entity} topraklarının tamamında şu uygulanır: {value}.",
            "{entity} devletinin bağlı olduğu kuşağın adı şöyledir: {value}.",
        ),
    ),
    "first_weekday": Forms(
        questions=(
            "{entity} ülkesinde hafta hangi gün başlar?",
            "{entity}: Oradaki takvimlerde ilk sırada hangi gün bulunur?",
            "{entity} ülkesinde haftanın ilk günü hangisi sayılır?",
        ),
        passages=(
            "{entity} devletinde yeni yedi günlük dönem {value} günüyle açılır.",
            "{entity} için basılan bir takvimin baştaki sütunu {value} gününe aittir.",
        ),
    ),
    "script": Forms(
        questions=(
            "{entity} hangi alfabeyle yazılır?",
            "{entity} metinlerini yazmak için hangi harfler kullanılır?",
            "{entity} olarak bilinen dilin yazı sistemi nedir?",
        ),
        passages=(
            "{entity} metinlerinin dizgisinde görülen karakter türü şudur: {value}.",
            "{entity} kitapları genellikle şu karakterlerle basılır: {value}.",
        ),
    ),
    "word": Forms(
        questions=(
            "{entity}: Bu dilde “{item}” nasıl söylenir?",
            "{entity} söz konusu olduğunda “{item}” kavramının karşılığı nedir?",
            "{entity} kelimelerinden hangisi “{item}” anlamına gelir?",
        ),
        passages=(
            "Ana dili {entity} olanlar “{item}” yerine “{value}” sözcüğünü kullanır.",
            "{entity} sözlüklerinde “{item}” maddesinin yanında “{value}” yazar.",
        ),
    ),
    "currency_code": Forms(
        questions=(
            "{entity} para biriminin ISO kodu nedir?",
            "Bankalar {entity} için hangi üç harfi kullanır?",
            "Kur tablolarında {entity} nasıl gösterilir?",
        ),
        passages=(
            "{entity} uluslararası listelerde {value} olarak yer alır.",
            "Ödeme sistemlerinde {value} yazıldığında {entity} kastedilir.",
        ),
    ),
}
