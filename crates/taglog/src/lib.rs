//! The tag log: leaf grammar, tag map, tag proof, and the rules an auditor replays.
