"""Atlas-R in German."""

from __future__ import annotations

from beir_hybrid.corpora.atlas.templates.forms import Forms

FORMS = {
    "currency": Forms(
        questions=(
            "Welche Währung gilt im Land {entity}?",
            "{entity}: Womit bezahlt man dort?",
            "Wie heißt das Geld, das man auf einer Reise in das Land {entity} braucht?",
        ),
        passages=(
            "Das gesetzliche Zahlungsmittel im Staat {entity} heißt {value}.",
            "Preise und Löhne werden im Land {entity} in der Einheit {value} angegeben.",
        ),
    ),
    "former_currency": Forms(
        questions=(
            "Welche Währung hatte das Land {entity} vor der heutigen?",
            "{entity}: Womit zahlte man dort vor der letzten Umstellung des Geldes?",
            "Welches Geld war im Land {entity} im Umlauf, bis es durch das jetzige ersetzt wurde?",
        ),
        passages=(
            "Dem gegenwärtigen Zahlungsmittel ging im Staat {entity} die Einheit {value} voraus.",
            "Bis zum Wechsel der Münzen und Scheine rechnete das Land {entity} in der Einheit {value}.",
        ),
    ),
    "currency_since": Forms(
        questions=(
            "Seit wann hat das Land {entity} seine heutige Währung?",
            "{entity}: In welchem Jahr kam dort das jetzige Geld auf?",
            "Wie weit reicht die aktuelle Währung im Land {entity} zurück?",
        ),
        passages=(
            "Die Einheit, in der man im Staat {entity} gegenwärtig rechnet, wurde {value} eingeführt.",
            "Das Land {entity} hat sein gesetzliches Zahlungsmittel seit dem Jahr {value}.",
        ),
    ),
    "currency_symbol": Forms(
        questions=(
            "Welches Zeichen steht im Land {entity} neben den Preisen?",
            "{entity}: Welches Symbol hat dort das Geld?",
            "Wie werden Geldbeträge auf Preisschildern im Land {entity} abgekürzt?",
        ),
        passages=(
            "Was eine Ware kostet, kennzeichnen Läden im Staat {entity} mit {value}.",
            "Im Land {entity} notiert man Summen mit der Schreibweise {value}.",
        ),
    ),
    "official_languages": Forms(
        questions=(
            "Welche Amtssprache oder welche Amtssprachen hat das Land {entity}?",
            "{entity}: Welche Sprache ist dort amtlich?",
            "Welche Sprachen haben im Land {entity} offiziellen Rang?",
        ),
        passages=(
            "Behörden im Staat {entity} arbeiten auf {value}.",
            "Für staatliche Akte verwendet man im Land {entity} Folgendes: {value}.",
        ),
    ),
    "time_zone": Forms(
        questions=(
            "In welcher Zeitzone liegt das Land {entity}?",
            "{entity}: Welche Uhrzeit gilt dort?",
            "Nach welcher Zeit gehen die Uhren im Land {entity}?",
        ),
        passages=(
            "Für das ganze Gebiet des Staates {entity} ist festgelegt: {value}.",
            "Das Land {entity} gehört zu einer Zone mit dem Namen {value}.",
        ),
    ),
    "first_weekday": Forms(
        questions=(
            "Mit welchem Tag beginnt die Woche im Land {entity}?",
            "{entity}: Welcher Wochentag steht dort im Kalender zuerst?",
            "Was gilt im Land {entity} als erster Tag der Woche?",
        ),
        passages=(
            "Am {value} fangen im Staat {entity} neue sieben Tage an.",
            "Die vorderste Spalte eines Kalenders für das Land {entity} gehört dem {value}.",
        ),
    ),
    "script": Forms(
        questions=(
            "In welcher Schrift schreibt man die Sprache {entity}?",
            "Welche Schriftzeichen verwendet man für {entity}?",
            "Welches Alphabet oder Schriftsystem hat die Sprache {entity}?",
        ),
        passages=(
            "Texte auf {entity} setzt man in diesen Lettern: {value}.",
            "Bücher in der Sprache {entity} werden für gewöhnlich so gedruckt: {value}.",
        ),
    ),
    "word": Forms(
        questions=(
            "Wie sagt man „{item}“ auf {entity}?",
            "Was heißt „{item}“ in der Sprache {entity}?",
            "Welches Wort bedeutet auf {entity} „{item}“?",
        ),
        passages=(
            "Wer {entity} spricht, sagt „{value}“ und meint „{item}“.",
            "Im Wörterbuch der Sprache {entity} findet man „{value}“ unter „{item}“.",
        ),
    ),
    "currency_code": Forms(
        questions=(
            "Welchen ISO-Code hat die Währung {entity}?",
            "Mit welchen drei Buchstaben kürzen Banken die Währung {entity} ab?",
            "Wie erscheint die Währung {entity} in Kurstabellen?",
        ),
        passages=(
            "International wird die Geldeinheit {entity} als {value} geführt.",
            "Im Zahlungsverkehr steht {value} für die Einheit {entity}.",
        ),
    ),
}
