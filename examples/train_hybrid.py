"""Hybrid batches in plain Sentence Transformers: python train_hybrid.py [BASE [DATA [OUTPUT]]]."""

import sys

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments

from beir_hybrid import training

base, data, output = sys.argv[1:] + ["intfloat/multilingual-e5-small", "mlqa-r", "output"][len(sys.argv) - 1 :]
model = SentenceTransformer(base)
train_dataset = training.load_pairs(data)
args = SentenceTransformerTrainingArguments(
    output,
    per_device_train_batch_size=min(32, *map(len, train_dataset.values())),
    multi_dataset_batch_sampler=training.HybridBatchSampler.options(alpha=0.5),
    prompts={"question": model.prompts.get("query") or "", "answer": model.prompts.get("document") or ""},
)
loss = training.HybridContrastiveLoss(model, scale=20.0)
trainer = training.HybridTrainer(model=model, args=args, train_dataset=train_dataset, loss=loss)
trainer.train()
print(training.MultilingualRetrievalEvaluator("xquad-r")(model))
model.save_pretrained(output)
