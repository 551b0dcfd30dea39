"""Train in mixed batches, in Sentence Transformers: python train_mixed_batches.py [BASE [DATA [TEST [OUTPUT]]]].

Half of the batches are monolingual, the others hold rows of many pairs of languages. BASE is a folder, a hub id, or
"offline"; DATA the name of pairs (atlas, mlqa-r, ntrex) or a file of your own; TEST a corpus. By default nothing is
downloaded, and fifty steps take minutes on a CPU. It prints mAP and language figures before and after, and writes the
model to OUTPUT.
"""

import sys

from sentence_transformers import SentenceTransformerTrainingArguments

from beir_hybrid import training
from beir_hybrid.models.base import find_base

base, data, test, output = sys.argv[1:] + ["offline", "atlas", "atlas-r", "my-model"][len(sys.argv) - 1 :]
model = find_base(base, asked_by="").load()  # or any SentenceTransformer
pairs = training.load_pairs(data)
args = SentenceTransformerTrainingArguments(
    f"{output}-checkpoints",
    max_steps=50,
    per_device_train_batch_size=min(32, *map(len, pairs.values())),
    multi_dataset_batch_sampler=training.HybridBatchSampler.options(alpha=0.5),
    prompts={"question": model.prompts.get("query") or "", "answer": model.prompts.get("document") or ""},
)
loss = training.HybridContrastiveLoss(model, scale=20.0)
evaluator = training.MultilingualRetrievalEvaluator(test, max_questions=100)
print("before:", evaluator(model))
training.HybridTrainer(model=model, args=args, train_dataset=pairs, loss=loss).train()
print("after:", evaluator(model))
model.save_pretrained(output)  # mteb run -m OUTPUT --tasks XQuADR
