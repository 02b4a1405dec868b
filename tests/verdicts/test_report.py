import pytest

from benchmarks.verdicts import report

DOCUMENT = "# A\n\n<!-- one -->\nold\n<!-- end -->\n\n<!-- two -->\n<!-- end -->\n"


def test_a_table_takes_the_place_of_the_old_one_and_of_nothing_else():
    found = report.placed(DOCUMENT, "one", "new")
    assert found == DOCUMENT.replace("old", "new")


def test_a_table_is_put_where_none_was():
    assert "<!-- two -->\nnew\n<!-- end -->" in report.placed(DOCUMENT, "two", "new")


def test_what_a_table_holds_is_not_taken_for_a_pattern():
    assert "\\1 \\g<0>" in report.placed(DOCUMENT, "one", "\\1 \\g<0>")


def test_a_document_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="three"):
        report.placed(DOCUMENT, "three", "new")


@pytest.mark.parametrize("name", report.PARTS)
def test_the_document_has_a_place_for_every_part_and_a_table_in_it(name):
    document = report.DOCUMENT.read_text("utf-8")
    assert report.placed(document, name, "new") != document
    between = document.partition(f"<!-- {name} -->\n")[2].partition("<!-- end -->")[0]
    assert between.startswith("`python -m benchmarks.verdicts")
    assert "|---" in between


def test_an_option_without_its_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        report.main(["--minutes=3"])
    assert "--minutes=3 needs the one part" in capsys.readouterr().err
