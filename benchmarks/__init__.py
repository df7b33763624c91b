"""Transship beside skopeo, crane and regsync: same registries, same corpus, same run. See README.md."""
