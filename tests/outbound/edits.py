"""The way back from a rewritten document, as an oracle: whatever lies outside of the edits is what it was."""

from tracker.outbound.rewriter.rewriting import Rewritten


def restore(rewritten: Rewritten, html: str) -> str:
    """The rewritten document with the old characters of `html` at the place of every edit, each found by its offset."""
    pieces: list[str] = []
    position = place = 0
    for start, end, new in sorted(rewritten.edits, key=lambda edit: (edit.start, edit.end > edit.start, -edit.end)):
        if start < position:
            assert end <= position, "it went with what was taken out around it"
            continue
        place_of_edit = place + start - position
        assert rewritten.html[place_of_edit : place_of_edit + len(new)] == new
        pieces += (rewritten.html[place:place_of_edit], html[start:end])
        position, place = end, place_of_edit + len(new)
    return "".join([*pieces, rewritten.html[place:]])
