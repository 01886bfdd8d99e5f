"""A pytest plugin for mutation testing: Hypothesis tries the same few examples every time and does not shrink."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutation", derandomize=True, deadline=None, database=None, max_examples=25, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("mutation")
