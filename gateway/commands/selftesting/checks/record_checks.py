"""The leak corpus, constrained scopes and writes, by tokens for a canary patient who must see nothing of the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.commands.selftesting.attempts import Attempt, AttemptedRequest, Subjects, attempts_by_scope
from gateway.commands.selftesting.canaries import CATEGORY, LABORATORY, VITAL_SIGNS, Canaries
from gateway.commands.selftesting.check_results import CheckError, CheckResults, SkippedCheck
from gateway.commands.selftesting.judge_attempt import try_attempt
from gateway.commands.selftesting.marks import find_marks
from gateway.commands.selftesting.patient_session import PatientSession, Tokens
from gateway.commands.selftesting.smart_app import SmartApp
from gateway.commands.selftesting.web import Answer, Web

LEAKS, GRANULAR, WRITES = "leaks", "granular", "writes"
_LEAK = "Run `smart-gateway explain` on the request; report it as SECURITY.md says."
_WRITE = "Look up the decision id in the audit log; report it as SECURITY.md says."


@dataclass(frozen=True, slots=True)
class RecordChecks:
    """Checks with the tokens of `app`, of the users of the canaries A (`session`) and B (`session_b`)."""

    results: CheckResults
    web: Web
    app: SmartApp
    session: PatientSession
    session_b: PatientSession
    canaries: Canaries
    subjects: Subjects

    def check_leaks(self) -> None:
        """Try every attempt of the corpus, and whether pages are their owner's."""
        with self.results.check(LEAKS, "the other canary's records are there, and their owner's app sees them"):
            tokens = self.session_b.request_tokens(self.app, "launch/patient patient/*.rs")
            answer = self._read(tokens, f"/Observation/{self.subjects.hidden}")
            if answer.status != 200 or not find_marks([self.canaries.mark_b], answer.headers, answer.content):
                raise CheckError(f"the app of the other canary is answered with {answer.status}", sent=answer.sent)
        for scope, attempts in attempts_by_scope():
            self._try_with_scope(scope, attempts)
        with self.results.check(
            LEAKS, "leak_07: a link to a page opens for its own patient alone, until the token ends"
        ):
            self._check_page()

    def _try_with_scope(self, scope: str, attempts: Sequence[Attempt]) -> None:
        received: list[Tokens] = []
        with self.results.check(LEAKS, f"the record of the app's own patient is shown with {scope}"):
            tokens = self._request_tokens(scope)
            path = f"/Patient/{self.subjects.a}"
            if "patient/*" not in scope and "patient/Patient" not in scope:
                path = f"/Observation/{self.subjects.own}"
            answer = self._read(tokens, path)
            if answer.status != 200:
                raise CheckError(f"it is answered with {answer.status}", sent=answer.sent)
            received.append(tokens)
        for attempt in attempts:
            family, remedy = (WRITES, _WRITE) if attempt.changes else (LEAKS, _LEAK)
            sentence = f"{attempt.id}: {attempt.attempt}"
            if not received:
                self.results.skip(family, sentence, f"there is no good token with {scope}")
                continue
            with self.results.check(family, sentence, remedy):
                self._try(attempt, received[0])

    def _try(self, attempt: Attempt, tokens: Tokens) -> None:
        before = self.canaries.state(self.subjects) if attempt.changes else {}
        refused: CheckError | None = None
        try:
            try_attempt(
                attempt,
                self.subjects,
                [self.canaries.mark_b],
                lambda request: self._attempt(request, tokens),
                only_own=True,
            )
        except CheckError as error:
            refused = error
        if attempt.changes:
            after = self.canaries.state(self.subjects)
            changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
            if changed:
                raise CheckError(
                    f"these records have changed: {', '.join(changed)}",
                    sent=refused.sent if refused else attempt.attempt,
                )
        if refused is not None:
            raise refused

    def _check_page(self) -> None:
        tokens = self.session_b.request_tokens(self.app, "launch/patient patient/*.rs")
        links = self._read(tokens, "/Observation?_count=1").member("link")
        following = next((link["url"] for link in links or () if link.get("relation") == "next"), None)
        if following is None:
            raise SkippedCheck("the FHIR server answers in one page")
        own = self.web.request("GET", following, headers=tokens.bearer)
        if own.status != 200:
            raise CheckError(f"its own patient's app is answered with {own.status}", sent="GET the link `next`")
        foreign = self.web.request("GET", following, headers=self._request_tokens("patient/*.rs").bearer)
        without = self.web.request("GET", following)
        if foreign.status == 200 or find_marks([self.canaries.mark_b], foreign.headers, foreign.content):
            raise CheckError("another patient's app opens the page", sent="GET the link `next`", remedy=_LEAK)
        if without.status != 401:
            raise CheckError(f"without a token it is answered with {without.status}", sent="GET the link `next`")
        self.app.revoke(tokens.access)
        ended = self.web.until(
            lambda: self.web.request("GET", following, headers=tokens.bearer), lambda answer: answer.status == 401
        )
        if ended.status != 401:
            raise CheckError("the page opens with a token that has ended", sent="GET the link `next`")

    def check_granular(self) -> None:
        """Scopes with a constraint show what satisfies it, and nothing else."""
        laboratory, vital_signs = (
            f"patient/Observation.rs?category={CATEGORY}|{one}" for one in (LABORATORY, VITAL_SIGNS)
        )
        own, own_vital = f"Observation/{self.subjects.own}", f"Observation/{self.subjects.own_vital}"
        with self.results.check(GRANULAR, "a scope for laboratory results shows no vital signs", _LEAK):
            tokens = self._request_tokens(laboratory)
            self._check_found(tokens, "/Observation?_count=100", shown=own, hidden=own_vital)
            self._check_found(tokens, f"/Observation?category={VITAL_SIGNS}", hidden=own_vital)
            self._check_found(tokens, f"/Observation?_id={self.subjects.own_vital}", hidden=own_vital)
            hidden, absent = (
                self._read(tokens, f"/Observation/{one}") for one in (self.subjects.own_vital, self.subjects.absent)
            )
            if (hidden.status, hidden.content) != (absent.status, absent.content):
                raise CheckError(f"vital signs are answered with {hidden.status}", sent=hidden.sent)
        with self.results.check(GRANULAR, "two such scopes show what satisfies either of them, in any order", _LEAK):
            for scope in (f"{laboratory} {vital_signs}", f"{vital_signs} {laboratory}"):
                tokens = self._request_tokens(scope)
                self._check_found(tokens, "/Observation?_count=100", shown=own)
                self._check_found(tokens, "/Observation?_count=100", shown=own_vital)

    def _check_found(self, tokens: Tokens, path: str, *, shown: str | None = None, hidden: str | None = None) -> None:
        answer = self._read(tokens, path)
        entries = answer.member("entry") or ()
        found = {
            f"{one['resource'].get('resourceType')}/{one['resource'].get('id')}" for one in entries if "resource" in one
        }
        if shown is not None and shown not in found:
            raise CheckError(f"what the scope permits is missing ({answer.status})", sent=answer.sent)
        if hidden is not None and hidden in found:
            raise CheckError("what the scope does not permit is shown", sent=answer.sent)

    def check_writes(self) -> None:
        """What an app may write is written, under its version, and a transaction as a whole or not at all."""
        with self.results.check(
            WRITES, "an app creates, updates by version and deletes a record of its own patient", _WRITE
        ):
            tokens = self._request_tokens("patient/*.cruds")
            created = self._write(tokens, "POST", "/Observation", self.canaries.observation_of_a(self.subjects))
            if created.status in {403, 405}:
                raise SkippedCheck(f"writes are refused here ({created.status})")
            name = "/".join(created.headers.get("location", "").partition("/_history")[0].split("/")[-2:])
            if created.status != 201 or not name.startswith("Observation/"):
                raise CheckError(f"the create was answered with {created.status}", sent=created.sent)
            body = {**self.canaries.observation_of_a(self.subjects), "id": name.partition("/")[2], "status": "amended"}
            self._expect(self._write(tokens, "PUT", f"/{name}", body, {"if-match": 'W/"selftest-stale"'}), 412)
            etag = self._read(tokens, f"/{name}").headers.get("etag")
            current = {} if etag is None else {"if-match": etag}
            self._expect(self._write(tokens, "PUT", f"/{name}", body, current), 200)
            deleted = self._write(tokens, "DELETE", f"/{name}")
            if "race_not_excluded" in deleted.text:
                raise SkippedCheck("the FHIR server has no way to delete just what was checked (race_not_excluded)")
            self._expect(deleted, 200, 204)
            self._expect(self._read(tokens, f"/{name}"), 404, 410)
        with self.results.check(WRITES, "a transaction of permitted writes is carried out", _WRITE):
            tokens = self._request_tokens("patient/*.cruds")
            entry = {
                "resource": self.canaries.observation_of_a(self.subjects),
                "request": {"method": "POST", "url": "Observation"},
            }
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            before = self.canaries.state(self.subjects)
            answer = self._write(tokens, "POST", "/", bundle)
            if answer.status in {403, 405, 501}:
                raise SkippedCheck(f"transactions are refused here ({answer.status})")
            self._expect(answer, 200)
            added = self.canaries.state(self.subjects).keys() - before.keys()
            if len(added) != 1:
                raise CheckError("the FHIR server does not have the record afterwards", sent=answer.sent)

    def _expect(self, answer: Answer, *statuses: int) -> None:
        if answer.status not in statuses:
            raise CheckError(f"the status is {answer.status} instead of {statuses[0]}", sent=answer.sent)

    def _request_tokens(self, scope: str) -> Tokens:
        """Tokens of A's app. Raises `SkippedCheck` where a user may not grant the scope here."""
        tokens = self.session.request_tokens(self.app, f"launch/patient {scope}")
        missing = {one for one in scope.split() if "?unknown=" not in one} - tokens.scopes
        if missing:
            raise SkippedCheck(f"a patient may not grant {' '.join(sorted(missing))} here")
        return tokens

    def _send(self, request: AttemptedRequest, tokens: Tokens) -> Answer:
        media_type = {"content-type": "application/fhir+json"} if request.body is not None else {}
        headers = {**tokens.bearer, **media_type, **request.headers}
        url = f"{self.subjects.base}{request.target}"
        answer = self.web.request(request.method, url, headers=headers, form=request.form, body=request.body)
        self.canaries.note(answer)
        return answer

    def _attempt(self, request: AttemptedRequest, tokens: Tokens) -> Answer:
        """As `_send`. Raises `CheckError` if the token has ended: any refusal would then look right."""
        answer = self._send(request, tokens)
        if answer.status == 401:
            raise CheckError("a token that was good a moment ago is answered with 401", sent=answer.sent)
        return answer

    def _read(self, tokens: Tokens, path: str) -> Answer:
        return self.web.request("GET", f"{self.subjects.base}{path}", headers=tokens.bearer)

    def _write(
        self, tokens: Tokens, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        return self._send(AttemptedRequest(method, path, headers or {}, body=body), tokens)
