import json


def test_the_reference_is_described_as_json(command) -> None:
    code, out, _ = command("models", "describe", "--size", "reference", "--json")
    assert code == 0
    counts = json.loads(out)
    assert counts["classifier"] == 26_509_958
    assert counts["generator_plain"] == 11_383_427
    assert counts["discriminator"] == 2_768_705


def test_the_demo_is_described_as_a_table(command) -> None:
    code, out, _ = command("models", "describe", "--size", "demo")
    assert code == 0
    assert out.split()[0] == "classifier"


def test_another_size_is_refused(command) -> None:
    code, _, error = command("models", "describe", "--size", "huge")
    assert code == 2
    assert "reference" in error
