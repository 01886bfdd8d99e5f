"""Single samples out of the text of ``/metrics``."""

from prometheus_client.parser import text_string_to_metric_families


def sample(text: str, name: str, **labels: str) -> float:
    """Value of the one sample of ``text`` with this name and exactly these labels.

    Raises:
        AssertionError: there is none, or more than one.

    """
    families = text_string_to_metric_families(text)
    found = [each for family in families for each in family.samples if (each.name, each.labels) == (name, labels)]
    if len(found) != 1:
        raise AssertionError(f"{name} {labels} is there {len(found)} times, once is expected")
    return float(found[0].value)
