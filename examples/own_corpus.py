"""A corpus of your own, from texts to a result: python own_corpus.py [FOLDER [MODEL]].

Writes a small corpus in English, German and French as a folder (default: city-bikes) in BEIR's files, a few lines of
JSON a language. Equal question ids are translations of each other; which passages answer a question is said in each
language. Then it reads the folder, prints what is in it, evaluates MODEL (default: "ours", or whatever `mteb run -m`
takes) on it, and prints mAP with passages in one language and in the pool of all three, and mAP of each pair of
languages there.

What else a folder can hold: docs/own-data.md. `beir-hybrid data check FOLDER` looks for mistakes in one.
"""

import json
import sys
from pathlib import Path

import beir_hybrid as bh

PASSAGES = {
    "en": ["The first half hour of every ride is free.", "Lock the bike at any station.", "Helmets are not provided."],
    "de": [
        "Die erste halbe Stunde ist frei.",
        "Das Rad an einer Station anschließen.",
        "Helme gibt es nicht.",
    ],
    "fr": [
        "La première demi-heure est gratuite.",
        "Attachez-le à une station.",
        "Les casques ne sont pas fournis.",
    ],
}
QUESTIONS = {
    "en": ["What does a short ride cost?", "Where do I return a bike?"],
    "de": ["Was kostet eine kurze Fahrt?", "Wo gebe ich ein Rad zurück?"],
    "fr": ["Combien coûte un trajet court ?", "Où rendre un vélo ?"],
}


def write_json_lines(path, texts):
    """Write texts with the ids 0, 1, 2 ..."""
    lines = [json.dumps({"_id": str(row), "text": text}, ensure_ascii=False) for row, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


folder, model = sys.argv[1:] + ["city-bikes", "ours"][len(sys.argv) - 1 :]
for language, questions in QUESTIONS.items():
    place = Path(folder) / language
    (place / "qrels").mkdir(parents=True, exist_ok=True)
    write_json_lines(place / "corpus.jsonl", PASSAGES[language])
    write_json_lines(place / "queries.jsonl", questions)
    judgments = [f"{row}\t{row}\t1\n" for row in range(len(questions))]  # question row is answered by passage row
    (place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judgments))
(Path(folder) / "corpus.toml").write_text('name = "city-bikes"\nlicence = "cc0-1.0"\nlanguages = ["en", "de", "fr"]\n')

corpus = bh.load(folder)
for language, part in corpus.languages.items():
    print(f"{language}: {len(part.questions)} questions, {len(part.passages)} passages")
result = bh.evaluate(model, corpus)
print(result)
print(result.pairs["one_target_map"].unstack())
