"""Configurations as records write them: put together by hand, and generated."""

from hypothesis import strategies as st

A, B, C, D = (f"cpe:2.3:a:v:{letter}:1:*:*:*:*:*:*:*" for letter in "abcd")
WINDOWS = "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"


def entry(criteria, vulnerable=True, **bounds):
    return {"criteria": criteria, "vulnerable": vulnerable, **bounds}


def node(*entries, operator="OR", negate=False, children=()):
    made = {"operator": operator, "negate": negate, "cpeMatch": list(entries)}
    return {**made, "children": list(children)} if children else made


_entries = st.builds(
    entry,
    st.sampled_from([A, B, C, D, WINDOWS]),
    st.booleans(),
)
_operators = st.sampled_from(["AND", "OR"])
_negate = st.integers(0, 4).map(lambda number: number == 0)
_leaves = st.builds(
    lambda entries, operator, negate: node(*entries, operator=operator, negate=negate),
    st.lists(_entries, max_size=3),
    _operators,
    _negate,
)
_nodes = st.recursive(
    _leaves,
    lambda inner: st.builds(
        lambda entries, operator, negate, children: node(
            *entries, operator=operator, negate=negate, children=children
        ),
        st.lists(_entries, max_size=2),
        _operators,
        _negate,
        st.lists(inner, max_size=2),
    ),
    max_leaves=4,
)
CONFIGURATIONS = st.builds(
    lambda operator, negate, nodes: {"operator": operator, "negate": negate, "nodes": nodes},
    _operators,
    _negate,
    st.lists(_nodes, max_size=3),
)
"""Configurations of all shapes: nested, negated, empty, with platforms."""
