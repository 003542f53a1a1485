"""The ways of compression there are, by name and by file name."""

from __future__ import annotations

from tickstream.capture.codec import BLOCK, Codec, Damaged, Member, Plain, Reader, Window, whole_lines
from tickstream.capture.gzip_members import Gzip
from tickstream.capture.zstd_frames import Zstd

__all__ = ["BLOCK", "CODECS", "Codec", "Damaged", "Member", "Reader", "Window", "codec_of", "whole_lines"]

CODECS: dict[str, Codec] = {codec.name: codec for codec in (Plain(), Gzip(), Zstd())}
"""`--compress` -> how."""


def codec_of(name: str) -> Codec:
    """The codec that a file of this name was written with: `x.jsonl.gz`, `x.jsonl.gz.part`."""
    bare = name.removesuffix(".part")
    return next((codec for codec in CODECS.values() if codec.suffix and bare.endswith(codec.suffix)), CODECS["none"])
