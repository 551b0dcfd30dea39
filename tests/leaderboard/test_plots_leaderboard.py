"""The leaderboard's plots: which there are, what text they draw, in which fonts, and that they repeat byte for byte."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from beir_hybrid.leaderboard.render import board_views, plots
from beir_hybrid.plotting import lettering as lettering_module
from beir_hybrid.plotting.heat_maps import draw_one_target_maps, plot_one_target_maps
from beir_hybrid.plotting.lettering import FIRST_FONT, lettering
from tests.support.small_board import LATEX_NAME, SCRIPT_NAME, small_board

EXPECTED = ["one-target-XQuADR", "one-target-MLQAR", "differences-X-X", "differences-X-Y", "bias-XQuADR", "bias-MLQAR"]


def one_task() -> dict[str, Any]:
    """Make a board of one task, which is drawn sooner."""
    board = small_board()
    return {**board, "columns": [column for column in board["columns"] if column["task"] == "MLQAR"]}


def figures(board) -> dict[str, Figure]:
    return {name: draw() for name, draw in plots._figures(board, str)}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return plots.write_plots(one_task(), tmp_path_factory.mktemp("plots"))


def test_every_plot_is_a_png_and_an_svg(written):
    assert list(figures(small_board())) == EXPECTED
    names = [name for name in EXPECTED if "XQuADR" not in name]
    assert [path.name for path in written] == [f"{name}{suffix}" for name in names for suffix in (".png", ".svg")]
    for path in written:
        if path.suffix == ".svg":
            assert list(ET.parse(path).iter("{http://www.w3.org/2000/svg}text")), "letters are text, and stay small"
        else:
            assert path.read_bytes().startswith(b"\x89PNG")
            assert b"matplotlib" not in path.read_bytes().lower()


def test_the_same_board_gives_the_same_bytes(written, tmp_path):
    again = plots.write_plots(one_task(), tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_a_plot_without_data_is_left_out(tmp_path):
    board = small_board()
    for row in board["matrices"].values():
        for matrices in row.values():
            matrices["one_target"] = None
    assert plots.write_plots({**board, "comparisons": [], "columns": board["columns"][:6]}, tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_heat_maps_share_a_colour_scale_and_show_names_literally():
    board = small_board()
    figure = figures(board)["one-target-XQuADR"]
    (maps,) = (one for one in board_views.language_maps(board, "one_target") if one.task == "XQuADR")
    assert "quoted" not in maps.matrices
    images = [image for axis in figure.axes for image in axis.images]
    assert len(images) == len(maps.matrices) == 7
    assert {image.get_clim() for image in images} == {(0.0, maps.highest)}
    assert maps.highest == max(value for matrix in maps.matrices.values() for line in matrix for value in line)
    assert {LATEX_NAME, SCRIPT_NAME} <= set(texts(figure))


def test_languages_stand_by_family_in_heat_maps():
    languages = ["ar", "de", "en", "th", "vi"]
    frame = pd.DataFrame([[x == y for y in languages] for x in languages], languages, languages, dtype=float)
    axis = draw_one_target_maps([("model", frame)]).axes[0]
    ordered = ["ar", "vi", "de", "en", "th"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ordered
    assert [label.get_text() for label in axis.get_yticklabels()] == ordered
    (image,) = axis.images
    assert (image.get_array() == np.eye(5)).all()
    (above,) = axis.child_axes
    families = {
        label.get_text(): place for label, place in zip(above.get_xticklabels(), above.get_xticks(), strict=True)
    }
    assert families == {"Afro-Asiatic": 0, "Austroasiatic": 1, "Indo-European": 2.5, "Tai-Kadai": 4}
    assert sorted({line.get_xdata()[0] for line in axis.lines if line.get_xdata()[0] == line.get_xdata()[1]}) == [
        0.5, 1.5, 3.5,
    ]  # fmt: skip


def test_two_models_of_the_same_name_both_have_a_map():
    frame = pd.DataFrame([[0.5]], ["en"], ["en"])
    figure = draw_one_target_maps([("same", frame), ("same", frame)])
    assert [axis.get_title() for axis in figure.axes[:2]] == ["same", "same"]


def test_differences_are_drawn_where_they_are():
    board = small_board()
    figure = figures(board)["differences-X-X"]
    panel = figure.axes[0]
    assert panel.get_title() == "XQuAD-R, monolingual"
    found = board_views.differences(board)[0].columns["XQuADR/monolingual/map"]
    intervals = [tuple(line.get_xdata()) for line in panel.lines if len(line.get_xdata()) == 2][1:]
    points = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 1]
    assert intervals == [(one["low"], one["high"]) for one in found.values()]
    assert points == [one["difference"] for one in found.values()]
    assert [label.get_text() for label in panel.get_yticklabels()] == [board["rows"][key]["label"] for key in found]


def test_bias_is_plotted_against_multilingual_map():
    board = small_board()
    figure = figures(board)["bias-XQuADR"]
    row = board["rows"]["e5-hybrid"]["cells"]
    expected = (row["XQuADR/multilingual/map"]["value"], row["XQuADR/multilingual/rank_distance"]["value"])
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[0].lines]
    assert len(points) == len(board_views.measured_rows(board))
    assert points[board_views.measured_rows(board).index("e5-hybrid")] == expected
    assert figure.axes[0].get_ylabel() == "rank distance (lower is better)"


def test_letters_that_no_font_has_become_code_points(caplog, monkeypatch):
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    with caplog.at_level(logging.WARNING), lettering(["модель", "模\u202e", "plain"]) as legible:
        assert legible("модель") == "модель"
        assert legible("a模\nb\u202ec\ud800") == "aU+6A21 \nbU+202E cU+D800 "
        assert mpl.rcParams["font.family"] == [FIRST_FONT]
    (record,) = caplog.records
    assert "U+6A21" in record.getMessage() and "\n" not in record.getMessage()


def test_fonts_are_chosen_by_the_letters_they_have(monkeypatch):
    held = {"Sans Han": "模型", "Sans Both": "模型ไ", "Sans Thai": "ไท", "Last Resort": "模型ไทऔ"}
    fonts = [font_manager.FontEntry(fname=name, name=name, style="normal") for name in held]
    own = lettering_module._letters_of

    monkeypatch.setattr(font_manager.fontManager, "ttflist", fonts)
    monkeypatch.setattr(lettering_module, "_letters_of", lambda file: set(held[file]) if file in held else own(file))
    monkeypatch.setattr(font_manager, "findfont", lambda name: mpl.get_data_path() + "/fonts/ttf/DejaVuSans.ttf")
    assert lettering_module._choose_fonts(set("模型ไทऔé")) == ([FIRST_FONT, "Sans Both", "Sans Thai"], {"औ"})


def test_dollar_signs_are_no_mathematics(tmp_path):
    frame = pd.DataFrame([[0.5]], ["en"], ["en"])
    for name, title in (("a.svg", "$x$ \\frac{"), ("b.svg", "$x$ \\frac{")):
        plot_one_target_maps({title: frame}, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
