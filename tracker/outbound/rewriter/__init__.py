"""Links and pixel into one HTML document, every other byte as it was. Pure."""

from tracker.outbound.rewriter.rewriting import rewrite
