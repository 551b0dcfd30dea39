"""Which of two models is better, and is the difference real? python compare_models.py [MODEL [BASELINE [DATA [PAGE]]]].

Models are what `mteb run -m` takes (default: "ours" and the encoder that it is made from), DATA a corpus (default:
help-centre). It prints both, and for each setting the difference, its 95 % interval, p corrected over all that is
shown, and a verdict: with twelve questions most is "can't be told", and that is the truth. The last line is a gate
for CI: was it shown that the model is not worse than the baseline by 0.05 mAP? PAGE (default: report.html) shows what
each of the two loses, to read.
"""

import sys
from pathlib import Path

import beir_hybrid as bh
from beir_hybrid.report.assemble import build_report
from beir_hybrid.report.page import write_report

defaults = ["ours", "beir-hybrid/multilingual-e5-small-q4", str(Path(__file__).with_name("help-centre")), "report.html"]
model, baseline, data, page = sys.argv[1:] + defaults[len(sys.argv) - 1 :]

corpus = bh.load(data)
runs = [bh.evaluate(name, corpus, keep_top=10) for name in (model, baseline)]
print(*runs, sep="\n")

comparison = bh.compare(*runs)
print(comparison)  # comparison.frame is a data frame
print("not worse by 0.05 mAP:", "shown" if comparison.gate(0.05).passed else "not shown")
write_report(build_report(runs, corpus), Path(page))
