"""What schemathesis is to look at beyond its own checks: who may do what.

The roles of the token that a run uses are in RAMPWATCH_ROLES, by commas; `-` is no token, or a wrong one. Each answer is noted
in seen.txt, by operation and status, so that a run that reached nothing is found out.
"""

import os

import schemathesis

ROLES = set(os.environ["RAMPWATCH_ROLES"].split(","))


@schemathesis.check
def roles(ctx, response, case):
    """Nothing without a token, and no role does more than it may."""
    if case.method.upper() != case.operation.method.upper():
        return
    needed = case.operation.definition.raw.get("x-roles")
    status = response.status_code
    with open("seen.txt", "a", encoding="ascii") as seen:
        seen.write(f"{case.operation.definition.raw['operationId']} {status}\n")
    code = None
    if "problem+json" in response.headers.get("content-type", [""])[0]:
        code = response.json()["code"]
    given = response.request.headers.get("Authorization") if response.request else None
    if needed is None:
        assert status not in (401, 403), f"anybody may do this, and got {status}"
    elif "-" in ROLES or given is None:
        assert status == 401, f"nobody may do this without a token, and got {status}"
    elif ROLES.isdisjoint(needed):
        # What stands in the path may be no path of this operation, and then of none.
        assert (status, code) == (403, "missing_role") or code == "no_route", f"needs {needed}, and got {status} {code}"
    else:
        assert code not in ("missing_role", "unauthorized"), f"{needed} is enough, and got {status} {code}"


@schemathesis.hook
def filter_failure(ctx, failure, case, response):
    """What is no fault: there is no payment API in this test, and a whole number is not written as 7.0."""
    problem = response.json() if response.status_code in (400, 502) else {}
    if problem.get("code") == "api":
        return False
    return not (problem.get("code") == "malformed" and "invalid type: floating point" in problem["detail"])
