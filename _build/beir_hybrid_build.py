"""The build backend: setuptools, plus the files that let the package register itself with MTEB.

A wheel may carry a .pth file at its root, and pip puts it into site-packages, where Python reads it at start-up. From
Python 3.15 on a .start file beside it takes its place, and from 3.18 on no code in a .pth file runs (PEP 829). Setuptools
has no setting for either, so the wheels it builds, ordinary and editable, are completed here. It gives wheels the date of
SOURCE_DATE_EPOCH; source distributions are given it here, so that the same commit makes the same files.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

from setuptools import build_meta

START_UP = {
    "beir_hybrid.pth": b"import beir_hybrid.mteb.hook\n",
    "beir_hybrid.start": b"beir_hybrid.mteb.hook:install\n",
}
"""File -> what it says. Python takes one of them, by its version."""

get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def build_wheel(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel (PEP 517) and add the start-up files to it.

    Args:
        wheel_directory: Folder that receives the wheel.
        config_settings: Passed on to setuptools.
        metadata_directory: Passed on to setuptools.

    Returns:
        The wheel's file name.
    """
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_start_up(Path(wheel_directory, name))
    return name


def build_sdist(sdist_directory: str, config_settings: dict | None = None) -> str:
    """Build the source distribution (PEP 517), with the date of SOURCE_DATE_EPOCH if that is set.

    Args:
        sdist_directory: Folder that receives it.
        config_settings: Passed on to setuptools.

    Returns:
        Its file name.
    """
    name = build_meta.build_sdist(sdist_directory, config_settings)
    if "SOURCE_DATE_EPOCH" in os.environ:
        set_date(Path(sdist_directory, name), int(os.environ["SOURCE_DATE_EPOCH"]))
    return name


def build_editable(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """Build the editable wheel (PEP 660) and add the start-up files to it.

    Args:
        wheel_directory: Folder that receives the wheel.
        config_settings: Passed on to setuptools.
        metadata_directory: Passed on to setuptools.

    Returns:
        The wheel's file name.
    """
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    add_start_up(Path(wheel_directory, name))
    return name


def add_start_up(wheel: Path) -> None:
    """Rewrite a wheel with the start-up files at its root and lines for them in RECORD, so that pip also removes them.

    Args:
        wheel: The wheel; replaced in one step.
    """
    temporary = wheel.with_suffix(".tmp")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                # RECORD comes last in a wheel; the files take its date, which honours SOURCE_DATE_EPOCH.
                for name, line in START_UP.items():
                    new.writestr(_like(entry, name), line)
                    content += _record_line(name, line)
            new.writestr(entry, content)
    os.replace(temporary, wheel)


def set_date(source: Path, date: int) -> None:
    """Rewrite a source distribution so that every file in it is of one date, and nobody's.

    Args:
        source: The source distribution; replaced in one step.
        date: Seconds since 1970.
    """
    temporary = source.with_suffix(".tmp")
    with (
        tarfile.open(source) as old,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=date) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member) if member.isfile() else None
            member.mtime, member.uid, member.gid, member.uname, member.gname = date, 0, 0, "", ""
            member.pax_headers = {}
            new.addfile(member, content)
    os.replace(temporary, source)


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
