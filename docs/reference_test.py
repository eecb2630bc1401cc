#!/usr/bin/python3
"""Compares docs/reference with the code: what is documented exists, and what exists is documented.

Run by Bazel (//docs:reference_test). From the root of the tree, with the programs built, docs/reference_test.py --write writes
the help texts of commands.md anew.
"""

import pathlib
import re
import subprocess
import sys
import unittest

import yaml

REFERENCE = pathlib.Path("docs/reference")
# Each program, and where its binary lies.
PROGRAMS = {
    "mcsa-broker": "broker/mcsa-broker",
    "mcsa-webhook": "webhook/mcsa-webhook",
    "mcsa-sidecar": "sidecar/mcsa-sidecar",
    "mcsa-credential": "client/credential/mcsa-credential",
    "kubemcsa": "client/cli/kubemcsa",
}


def read(path):
    return pathlib.Path(path).read_text()


def first_cells(page, section=""):
    """The first cells of all table rows of a page, without backticks; of one section if it is named."""
    text = read(REFERENCE / page)
    if section:
        text = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.S | re.M)[1]
    cells = re.findall(r"^\| ([^|]+) \|", text, re.M)
    return [cell.replace("`", "") for cell in cells if cell.strip() not in ("", "reason", "event", "key", "metric")]


def schema(crd):
    versions = yaml.safe_load(read(f"k8s/manifests/crd/{crd}.yaml"))["spec"]["versions"]
    return versions[0]["schema"]["openAPIV3Schema"]["properties"]


def help_text(binary, *words):
    return subprocess.run([binary, *words, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def help_texts(folder):
    """The help of each program and of each of its subcommands, by what is typed."""
    texts = {}
    for name, path in PROGRAMS.items():
        binary = pathlib.Path(folder, path).resolve()
        texts[name] = help_text(binary)
        for command in re.findall(r"^  ([a-z]+) ", texts[name].partition("Subcommands:")[2], re.M):
            texts[f"{name} {command}"] = help_text(binary, command)
    return texts


def write_commands():
    page = REFERENCE / "commands.md"
    intro = page.read_text().partition("\n## ")[0].rstrip()
    blocks = [f"## {name}\n\n```\n{text}\n```\n" for name, text in help_texts(".bazel/bin").items()]
    page.write_text(intro + "\n\n" + "\n".join(blocks))


class ReferenceTest(unittest.TestCase):
    maxDiff = None

    def test_every_field_of_an_import(self):
        properties = schema("serviceaccountimports")
        fields = [f"{part}.{field}" for part in ("spec", "status") for field in properties[part]["properties"]]
        documented = [cell for cell in first_cells("serviceaccountimport.md") if cell.startswith(("spec.", "status."))]
        self.assertCountEqual(documented, fields)

    def test_every_field_of_a_policy(self):
        rules = schema("serviceaccountimportpolicies")["spec"]["properties"]["rules"]
        documented = [cell for cell in first_cells("serviceaccountimportpolicy.md") if not cell.startswith("field")]
        self.assertCountEqual(documented, rules["items"]["properties"])

    def test_every_key_of_a_secret(self):
        keys = re.findall(r'k(?:Server|Ca|Namespace|Token|Config|ConfigInline)Key\[\] = "(.*)"', read("k8s/core/names.h"))
        self.assertCountEqual(first_cells("serviceaccountimport.md", "Its Secret"), keys)

    def test_every_reason_and_event(self):
        page = "serviceaccountimport.md"
        documented = set(first_cells(page, "Reasons of the condition Ready")) | set(first_cells(page, "Events"))
        code = read("broker/plan_import.h") + read("broker/plan_import.cc")
        literals = set(re.findall(r'"((?:[A-Z][a-z]+){2,}|Revoked)"', code))
        self.assertEqual(documented, literals)

    def test_every_reason_of_the_grpc_api(self):
        documented = first_cells("serviceaccountimport.md", "Reasons on the gRPC API")
        sources = [path for part in ("broker", "sidecar", "k8s/core") for path in pathlib.Path(part).glob("*.cc")]
        reasons = {reason for path in sources if not path.name.endswith("_test.cc")
                   for reason in re.findall(r'(?:set_|snapshot\.)reason(?: = |\()"(\w+)"', read(path))}
        self.assertCountEqual(documented, reasons)

    def test_every_metric(self):
        metrics = {name for path in sorted(pathlib.Path().glob("*/metrics.cc"))
                   for name in re.findall(r'\.Name\("(.*?)"\)', read(path))}
        self.assertGreater(len(metrics), 0)
        self.assertEqual({cell.partition("{")[0] for cell in first_cells("metrics.md")}, metrics)

    def test_every_name(self):
        names = dict(re.findall(r'inline constexpr char (k\w+)\[\] =\s*"(.*?)"', read("k8s/core/names.h")))
        text = "\n".join(read(page) for page in REFERENCE.glob("*.md"))
        # Seen by nobody outside, or written in another form.
        for internal in ("kFieldManager", "kSourceObjectPrefix"):
            del names[internal]
        self.assertEqual([name for name, value in names.items() if value not in text], [])
        documented = set(re.findall(r"multicluster\.admiralty\.io/[a-z.-]*[a-z]", text))
        self.assertLessEqual(documented, set(names.values()) | {names["kApiGroup"] + "/v"})

    def test_every_flag(self):
        documented = dict(re.findall(r"^## (.*?)\n\n```\n(.*?)\n```$", read(REFERENCE / "commands.md"), re.S | re.M))
        self.assertEqual(documented, help_texts("."))
        self.assertEqual([name for name in PROGRAMS if "Example: " not in documented[name]], [])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_commands()
    else:
        unittest.main()
