"""`jp-adapt plan`: what a recipe needs on a device, before anything runs."""

from __future__ import annotations

import argparse
from typing import Any

from jp_adapt.cli.arguments import amount, positive
from jp_adapt.cli.output import print_json
from jp_adapt.report.terminal import table
from jp_adapt.report.written import plural

EPILOG = """Memory is that of one device at the peak of a step. Hours assume a share of the peak that is printed with them, and count neither communication nor
evaluation nor saving. The texts of the recipe need not be here, and the base's weights neither."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "plan", help="memory, time and cost of a recipe on a device", description="Say what a recipe needs on a device; nothing runs.", epilog=EPILOG
    )
    parser.add_argument("recipe", help="name of a shipped recipe, or path of a recipe file")
    parser.add_argument("--device", help="h100-80g, a100-40g, rtx4090-24g, cpu-2core, ...; a wrong name lists all (default: the machine at hand)")
    parser.add_argument("--devices", type=positive, default=1, metavar="N", help="how many of them (default: 1)")
    parser.add_argument(
        "--micro-rows", type=positive, metavar="N", help="sequences that go through a device at once (default: the stage's micro_batch_rows, or as many as fit)"
    )
    parser.add_argument("--price", type=amount, metavar="P", help="of one device for one hour, to get the cost")
    parser.add_argument("--currency", default="USD", metavar="C", help="of the price (default: USD)")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.plan import plan_recipe
    from jp_adapt.recipe.load import load_recipe

    loaded = load_recipe(args.recipe, args.set, need_files=False)
    plan = plan_recipe(loaded, args.device, args.devices, micro_rows=args.micro_rows, price=args.price, currency=args.currency)
    if args.json:
        print_json(plan)
        return 0
    device = plan["device"]
    which = device["name"] if device["devices"] == 1 else f"{device['devices']} x {device['name']}"
    print(f"{plan['recipe']} on {which} ({_gb(device['memory_bytes'])}; {device['source']})")
    print(
        f"base: {_millions(plan['base']['parameters'])} parameters, {plan['base']['vocab_size']:,} tokens, head {'tied' if plan['base']['tied'] else 'untied'}"
    )
    for stage in plan["stages"]:
        _print_stage(stage, device)
    cost = "" if plan["cost"] is None else f", cost {plan['cost']:,.2f} {plan['currency']}"
    together = f", {plan['device_hours']:,.1f} device-hours" if device["devices"] > 1 else ""
    reached = {"measured": "at the speed that was measured", "estimated": "at a speed that is estimated, not measured"}
    speed = reached.get(plan["assumed"]["reached"], f"at {plan['assumed']['mfu']:.0%} of the peak (assumed)")
    print(f"\nin all: {_hours(plan['hours'])}{together}{cost}, {speed}")
    return 0


def _print_stage(stage: dict[str, Any], device: dict[str, Any]) -> None:
    print(f"\n{stage['id']} ({stage['kind']}): {_millions(stage['trainable'])} trainable ({stage['trainable_share']:.1%})", end="")
    grown = f" ({', '.join(f'{number:,}' for number in stage['grow'])}, one phase after another)" if stage["grow"] else ""
    print(f", {plural(stage['new_tokens'], 'new token')}{grown}" if stage["new_tokens"] else "")
    estimated = "" if stage["tokens_known"] else " (estimated from the text's size, or assumed where it is not here)"
    print(f"  {plural(stage['tokens'], 'token')}{estimated}, {plural(stage['steps'], 'step')}, {stage['flops']:.2e} FLOP, {_hours(stage['hours'])}")
    memory = [*stage["memory"].items(), ("one device", stage["bytes"])]
    print("\n".join(table(("memory", "size"), [(part, _gb(size)) for part, size in memory], indent=2)))
    verdict = "fits" if stage["fits"] else "does not fit"
    at_once = f"{stage['micro_rows']} of its {plural(stage['rows_of_a_step'], 'sequence')}"
    print(f"  {verdict} in {_gb(device['memory_bytes'])} with {at_once} at once")
    if stage["micro_rows"] < stage["rows_of_a_step"] and stage["fits"]:
        print(f"  so run it with stages.{stage['id']}.micro_batch_rows={stage['micro_rows']} (same result)")
    if stage["would_fit_with"]:
        print("  what would make it fit, one on top of the other:")
        remedies = enumerate(stage["would_fit_with"], start=1)
        rows = [(f"{number}.", remedy["words"], "fits" if remedy["fits"] else "", _gb(remedy["bytes"])) for number, remedy in remedies]
        print("\n".join(table(("", "", "", ""), rows, words=3, indent=4)))
    if stage["would_fit_with"] and not stage["would_fit_with"][-1]["fits"]:
        print("    None of these is enough: take a device with more memory, or a shorter sequence_tokens.")


def _gb(size: float) -> str:
    return f"{size / 1e9:,.2f} GB"


def _millions(number: int) -> str:
    return f"{number / 1e9:,.2f} B" if number >= 1e9 else f"{number / 1e6:,.1f} M"


def _hours(number: float) -> str:
    if number >= 1:
        return f"{number:,.1f} h"
    return f"{60 * number:,.1f} min" if 60 * number >= 0.05 else f"{3600 * number:,.1f} s"
