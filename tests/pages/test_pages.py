"""What pages share: figures as text, colours of cells, intervals as charts."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.pages.charts import HEAT_LEVELS, heat_class, heat_level, interval_chart
from beir_hybrid.pages.wording import metric_name, number, p_value, short, signed


def test_numbers():
    assert [number(value) for value in (0.12345, -0.5, -0.0001, None, math.nan)] == [
        "0.123",
        "−0.500",
        "0.000",
        "–",
        "–",
    ]
    assert [signed(value, 2) for value in (0.126, -0.126, -0.001, None)] == ["+0.13", "−0.13", "+0.00", "–"]
    assert [p_value(value) for value in (0.00009, 0.0001, 1.0, None)] == ["<0.0001", "0.0001", "1.0000", "–"]
    assert [metric_name(metric) for metric in ("map", "ndcg_at_10", "rank_distance")] == [
        "mAP",
        "nDCG@10",
        "rank distance",
    ]


@given(st.floats(0, 1), st.floats(0, 1))
def test_heat_levels_are_of_the_scale(value, highest):
    assert 0 <= heat_level(value, highest) < HEAT_LEVELS
    assert heat_level(highest, highest) == (HEAT_LEVELS - 1 if highest else 0)


def test_an_interval_is_drawn_where_its_numbers_are():
    chart = interval_chart(-0.1, 0.0, 0.2, -0.2, 0.2)
    assert '<rect x="26.5%" width="70.5%"/><circle cx="50.0%"/>' in chart
    assert '<rect x="50.0%" width="0.0%"/>' in interval_chart(0.0, 0.0, 0.0, -0.0, 0.0)
    assert '<rect x="26.5%" width="23.5%"/><circle cx="26.5%"/>' in interval_chart(0.25, 0.25, 0.5, 0.0, 1.0)


def test_cells():
    assert [short(value) for value in (0.5, 1.0, 10.0, 0.001, None)] == [".50", "1.00", "10.00", ".00", "–"]
    assert [short(value, True) for value in (0.5, -0.5, -0.001, 20.0)] == ["+.50", "−.50", "+.00", "+20.00"]
    assert [heat_class(value, 1.0) for value in (0.0, 0.5, 1.0, -0.5, -0.01)] == ["h0", "h5", "h10", "w5", "h0"]
