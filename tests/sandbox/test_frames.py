"""Frames: whatever bytes travel, and wherever the stream is cut, what comes out is what went in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import frames
from sandbox.frames import Decoder, FrameError, Kind

headers = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=20), max_size=5
)
messages = st.lists(
    st.tuples(st.sampled_from(Kind), headers, st.lists(st.binary(max_size=300), max_size=4)), max_size=6
)


def drain(decoder: Decoder) -> list[tuple[Kind, bytes]]:
    found = []
    while (frame := decoder.next()) is not None:
        found.append(frame)
    return found


@given(messages, st.data())
def test_any_message_survives_any_cut(sent: list, data: st.DataObject) -> None:
    stream = b"".join(frames.encode(kind, frames.pack(header, *blobs)) for kind, header, blobs in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    decoder, got = Decoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoder.feed(stream[start:end])
        got += drain(decoder)
    assert [(kind, *frames.unpack(body)) for kind, body in got] == [(k, h, list(b)) for k, h, b in sent]
    assert decoder.pending == 0


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_an_error(noise: bytes) -> None:
    decoder = Decoder()
    decoder.feed(noise)
    try:
        for kind, body in drain(decoder):
            assert kind in Kind
            frames.unpack(body)
    except FrameError:
        return
    assert decoder.pending <= len(noise)


@given(headers, st.lists(st.binary(max_size=50), max_size=3), st.integers(0, 400))
def test_a_cut_body_is_never_taken_for_a_whole_one(header: dict, blobs: list[bytes], cut: int) -> None:
    body = frames.pack(header, *blobs)
    if cut >= len(body):
        return
    try:
        got_header, got_blobs = frames.unpack(body[:cut])
    except FrameError:
        return
    assert got_header == header and got_blobs == blobs[: len(got_blobs)] and len(got_blobs) < len(blobs)


def test_a_frame_waits_for_its_last_byte() -> None:
    stream, decoder = frames.encode(Kind.INPUT, b"abc"), Decoder()
    for at in range(len(stream) - 1):
        decoder.feed(stream[at : at + 1])
        assert decoder.next() is None
    decoder.feed(stream[-1:])
    assert decoder.next() == (Kind.INPUT, b"abc")


@pytest.mark.parametrize("stream", [b"\0\0\0\0", b"\xff\xff\xff\xff\x01", b"\0\0\0\x02\xee."])
def test_impossible_lengths_and_kinds_are_refused_at_once(stream: bytes) -> None:
    decoder = Decoder()
    decoder.feed(stream)
    with pytest.raises(FrameError):
        decoder.next()


@pytest.mark.parametrize("body", [b"", b"\0\0", b"\0\0\0\x05{}", b"\0\0\0\x02[]", b"\0\0\0\x02{]"])
def test_bodies_that_are_none(body: bytes) -> None:
    with pytest.raises(FrameError):
        frames.unpack(body)


def test_a_body_above_the_bound_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_BODY", 10)
    frames.encode(Kind.INPUT, b"x" * 10)
    with pytest.raises(FrameError, match="11 bytes"):
        frames.encode(Kind.INPUT, b"x" * 11)


def test_headers_are_json_not_code() -> None:
    header, _ = frames.unpack(frames.pack({"detail": "é\0"}))
    assert json.loads(json.dumps(header)) == {"detail": "é\0"}
