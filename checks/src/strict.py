"""Holds objects (JSON, a list, from the file named first) to the strict schemas of each version of Kubernetes named after it.

Prints one line for each problem, and at the end how many objects were held to how many schemas."""
import functools
import json
import sys

import kubernetes_validate
from kubernetes_validate import utils

# It reads all definitions of a version for each object anew.
utils.schema_contents = functools.cache(utils.schema_contents)
utils.all_versions = functools.cache(utils.all_versions)

objects = json.load(open(sys.argv[1], encoding="utf-8"))
held = 0
for version in sys.argv[2:]:
    for one in objects:
        name = f"{one.get('kind')}/{one.get('metadata', {}).get('name')}"
        try:
            kubernetes_validate.validate(one, version, strict=True)
            held += 1
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            print(f"{version}: {name}: {path}: {str(error.message).splitlines()[0]}")
        except kubernetes_validate.SchemaNotFoundError:
            print(f"{version}: {name}: there is no {one.get('apiVersion')} of this kind")
print(f"held {held}")
