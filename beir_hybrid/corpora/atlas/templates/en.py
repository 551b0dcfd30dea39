"""Atlas-R in English."""

from __future__ import annotations

from beir_hybrid.corpora.atlas.templates.forms import Forms

FORMS = {
    "currency": Forms(
        questions=(
            "What money do people pay with in {entity}?",
            "Which currency does {entity} use?",
            "I am travelling to {entity}: what is the local money called?",
        ),
        passages=(
            "The legal tender of {entity} is the {value}.",
            "Prices and wages in {entity} are stated in the monetary unit {value}.",
        ),
    ),
    "former_currency": Forms(
        questions=(
            "What was the currency of {entity} before the present one?",
            "Which money circulated in {entity} until the money of today replaced it?",
            "With what did people in {entity} pay before the latest change of currency?",
        ),
        passages=(
            "The {value} preceded the present legal tender of {entity}.",
            "Until it changed over to another monetary unit, {entity} kept its accounts in the {value}.",
        ),
    ),
    "currency_since": Forms(
        questions=(
            "Since when has {entity} had its present currency?",
            "In which year did {entity} introduce the money it uses today?",
            "How far back does the current money of {entity} date?",
        ),
        passages=(
            "The monetary unit now valid in {entity} was adopted in {value}.",
            "The present means of payment in {entity} has been official since {value}.",
        ),
    ),
    "currency_symbol": Forms(
        questions=(
            "Which sign stands beside prices in {entity}?",
            "What is the symbol of the money in {entity}?",
            "How are amounts of money abbreviated on price tags in {entity}?",
        ),
        passages=(
            "Shops in {entity} mark what things cost with {value}.",
            "In {entity}, sums are written down with the character or letters {value}.",
        ),
    ),
    "official_languages": Forms(
        questions=(
            "What is the official language of {entity}, or what are they if there are several?",
            "What language does {entity} use officially?",
            "Which languages have official status in {entity}?",
        ),
        passages=(
            "Public authorities in {entity} work in {value}.",
            "For acts of state, {entity} relies on {value}.",
        ),
    ),
    "time_zone": Forms(
        questions=(
            "Which time zone is {entity} in?",
            "What time do the clocks in {entity} follow?",
            "By which standard time do people in {entity} live?",
        ),
        passages=(
            "The hour of the day throughout {entity} is set by {value}.",
            "{entity} belongs to the zone known as {value}.",
        ),
    ),
    "first_weekday": Forms(
        questions=(
            "On which day does the week begin in {entity}?",
            "Which weekday comes first on calendars in {entity}?",
            "What do people in {entity} regard as the first day of the week?",
        ),
        passages=(
            "Every seven days in {entity} a new week starts on {value}.",
            "{value} fills the opening place of a calendar printed for {entity}.",
        ),
    ),
    "script": Forms(
        questions=(
            "Which alphabet or script is {entity} written in?",
            "What characters do people use to write {entity}?",
            "What is the writing system of the {entity} language?",
        ),
        passages=(
            "Texts in {entity} are set in {value} letters.",
            "Books for readers of {entity} are usually printed in this type: {value}.",
        ),
    ),
    "word": Forms(
        questions=(
            "How do you say “{item}” in {entity}?",
            "What is {item} called in the {entity} language?",
            "Which {entity} word means “{item}”?",
        ),
        passages=(
            "Those who speak {entity} use “{value}” for {item}.",
            "A dictionary of {entity} gives “{value}” under the heading “{item}”.",
        ),
    ),
    "currency_code": Forms(
        questions=(
            "What is the ISO code of the currency {entity}?",
            "Which three letters abbreviate the {entity} in banking?",
            "How does the {entity} appear in exchange-rate tables?",
        ),
        passages=(
            "The monetary unit {entity} is listed internationally as {value}.",
            "In payments between banks, {value} stands for the {entity}.",
        ),
    ),
}
