"""The ground of every page: headers, error pages, static files, who may come in."""

import httpx


def test_an_unknown_address_is_a_page_with_a_way_out(client: httpx.Client) -> None:
    answer = client.get("/no-such-page")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert "Alice" in answer.text
