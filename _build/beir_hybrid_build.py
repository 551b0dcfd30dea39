"""The build backend: setuptools, plus the .pth file that lets the package register itself with MTEB.

A wheel may carry a .pth file at its root, and pip puts it into site-packages, where Python reads it at start-up.
Setuptools has no setting for that, so the wheels it builds, ordinary and editable, are completed here.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import zipfile
from pathlib import Path

from setuptools import build_meta

PTH_NAME = "beir_hybrid.pth"
PTH_LINE = b"import beir_hybrid.autoload\n"

build_sdist = build_meta.build_sdist
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def build_wheel(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel (PEP 517) and add the .pth file to it.

    Args:
        wheel_directory: Folder that receives the wheel.
        config_settings: Passed on to setuptools.
        metadata_directory: Passed on to setuptools.

    Returns:
        The wheel's file name.
    """
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_pth(Path(wheel_directory, name))
    return name


def build_editable(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """Build the editable wheel (PEP 660) and add the .pth file to it.

    Args:
        wheel_directory: Folder that receives the wheel.
        config_settings: Passed on to setuptools.
        metadata_directory: Passed on to setuptools.

    Returns:
        The wheel's file name.
    """
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    add_pth(Path(wheel_directory, name))
    return name


def add_pth(wheel: Path) -> None:
    """Rewrite a wheel with the .pth file at its root and a line for it in RECORD, so that pip also removes it.

    Args:
        wheel: The wheel; replaced in one step.
    """
    temporary = wheel.with_suffix(".tmp")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                # RECORD comes last in a wheel; the .pth file takes its date, which honours SOURCE_DATE_EPOCH.
                new.writestr(_like(entry, PTH_NAME), PTH_LINE)
                content += _record_line(PTH_NAME, PTH_LINE)
            new.writestr(entry, content)
    os.replace(temporary, wheel)


def _like(entry: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """Return an entry of another name with the date, the mode and the compression of ``entry``."""
    copy = zipfile.ZipInfo(name, entry.date_time)
    copy.external_attr = entry.external_attr
    copy.compress_type = entry.compress_type
    return copy


def _record_line(name: str, content: bytes) -> bytes:
    """Return the RECORD line of a file: name, sha256 in unpadded URL-safe base64, size."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow((name, f"sha256={digest}", len(content)))
    return line.getvalue().encode()
