"""What authors of corpora and samplers run against theirs.

    from beir_hybrid.testing import check_corpus

    def test_my_corpus() -> None:
        check_corpus(SPEC)

Both raise a ``NotConforming`` that names everything that is wrong, a line each.
"""

from beir_hybrid.testing.conformance import NotConforming
from beir_hybrid.testing.corpus_rules import check_corpus
from beir_hybrid.testing.sampler_rules import check_sampler

__all__ = ["NotConforming", "check_corpus", "check_sampler"]
