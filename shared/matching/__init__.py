"""Matching: is this component affected by that vulnerability, how sure is it, and why? Values in, values out.

The flow, in one direction; nothing is cached between calls:

1. `configurations.from_record(record["configurations"])` gives `(tree, criteria)`: criteria numbered 0, 1,
   ... in the tree. The mirror stores each distinct `criterion.Criterion` once, under `criterion.index_key`, a
   pair `(product_key, version_key)`, and the tree as `configurations.encode(configurations.renumber(tree,
   ids))`.
2. `compare.Inventory(components)` identifies an asset's components (`identity.identify`). Its `lookup_keys()`
   (or `identity.lookup_keys(components)`) is the set of `(product_key, version_key)` to fetch criteria by.
   The version key `criterion.EVERY_VERSION` (`*`) in it asks for all criteria of that product; it is rare.
3. `compare.compare_criteria(inventory, criteria)` compares each fetched criterion once (`criteria` maps id to
   Criterion) and gives `Hits`; `hits.met` is keyed by criterion id.
4. Candidates are the vulnerabilities that use a criterion of `hits.met` under `vulnerable: true`; through
   other uses nothing can match, negated or not. `match.match_candidates(inventory, hits, candidates)`
   evaluates the trees and yields one `match.Match` for a component and vulnerability. Most trees are nothing but
   ORs: their blobs say so, and given the met criteria that a vulnerability uses they are not even decoded.
   `match.match(components, criteria, candidates)` is steps 2 to 4 in one call, for whoever has the criteria
   at hand.
5. `evidence.evidence(match)` spells a match out as data with a sentence, when somebody asks;
   `explain.explain(components, index, criteria, tree, status)` answers for one component and vulnerability,
   whichever way it went.

`affected.tree_of(record["configurations"], record["affected"])` does step 1 for a record that may have nothing but
the CNA's own data: the same kind of tree and criteria, marked so that whatever it matches is `possible`. Rejected
records have no tree.
"""
