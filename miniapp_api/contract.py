"""The published contract: OpenAPI 3.1 written from the rows. `python -m miniapp_api.contract` writes the file."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from loyalty.errors import Forbidden, Invalid, NotFound, Refusal, TooMany, Unauthenticated
from loyalty.inbox.service import KeyReused
from loyalty.sessions.service import SessionEnded
from miniapp_api.audience import STAFF, Audience
from miniapp_api.endpoint import AnyEndpoint, Bytes, NoQuery, Redirect, Repeat
from miniapp_api.endpoints import ENDPOINTS
from miniapp_api.refusals import KeyMissing, NotJson, TooLarge, WrongMediaType
from templates.words import LOCALES, catalogue

CONTRACT_PATH: Final = Path(__file__).with_name("openapi.json")
VERSION: Final = "1"

_TAGS: Final = {
    Audience.ANYONE: ("登录 · Login", "拿到会话令牌。 Getting a session token."),
    Audience.MEMBER: (
        "会员 · Member",
        "会员本人能做的事。 What members do for themselves.",
    ),
    Audience.STAFF: (
        "店员 · Staff",
        "店员与店长在门店做的事。 What staff do in a store.",
    ),
    Audience.PARTNER: (
        "伙伴系统 · Partner",
        "收银、商城等系统。 Tills, shops and other systems.",
    ),
    Audience.CONSOLE: (
        "控制台 · Console",
        "运营、财务、审计在控制台做的事。 What marketers, finance and auditors do.",
    ),
}
_SCHEME: Final = {
    Audience.MEMBER: "memberSession",
    Audience.STAFF: "staffSession",
    Audience.CONSOLE: "staffSession",
    Audience.PARTNER: "partnerKey",
}
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}


def render(endpoints: Sequence[AnyEndpoint] = ENDPOINTS) -> str:
    """The contract as the text of the committed file."""
    return json.dumps(document(endpoints), ensure_ascii=False, indent=2, sort_keys=False) + "\n"


def document(endpoints: Sequence[AnyEndpoint] = ENDPOINTS) -> dict[str, Any]:
    """The contract of `endpoints`."""
    references, definitions = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "小惠 Xiaohui API",
            "version": VERSION,
            "description": "会员、店员与伙伴系统的接口。 The API for members, staff and partner systems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.values()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "memberSession": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "会员会话令牌 · a member's session",
                },
                "staffSession": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "员工会话令牌 · a staff session",
                },
                "partnerKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "伙伴密钥 · a partner's key",
                },
            },
            "schemas": {"Problem": _problem_schema(), **definitions},
        },
        "x-problems": _problems(endpoints),
    }


def _is_json(result: Any) -> bool:
    return result is not None and result not in {Bytes, Redirect}


def _schemas(
    endpoints: Sequence[AnyEndpoint],
) -> tuple[Mapping[tuple[int, str], Any], Mapping[str, Any]]:
    wanted: list[tuple[tuple[int, str], JsonSchemaMode, TypeAdapter[Any]]] = []
    for endpoint in endpoints:
        if endpoint.takes_body:
            wanted.append(((id(endpoint.body), "body"), "validation", TypeAdapter(endpoint.body)))
        if _is_json(endpoint.result):
            wanted.append(
                (
                    (id(endpoint.result), "result"),
                    "serialization",
                    TypeAdapter(endpoint.result),
                )
            )
    unique = {key: (key, mode, adapter) for key, mode, adapter in wanted}
    references, schema = TypeAdapter.json_schemas(
        list(unique.values()),
        ref_template="#/components/schemas/{model}",
        schema_generator=_Closed,
    )
    return {key: reference for (key, _mode), reference in references.items()}, schema.get("$defs", {})


class _Closed(GenerateJsonSchema):
    """Schemas in which an object has exactly the fields that are declared."""

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        generated = super().dataclass_schema(schema)
        if "$ref" not in generated:
            generated["additionalProperties"] = False
        return generated


def _operation(endpoint: AnyEndpoint, references: Mapping[tuple[int, str], Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [_TAGS[endpoint.audience][0]],
        "summary": endpoint.summary.en,
        "x-summary-zh-CN": endpoint.summary.zh,
        "parameters": _parameters(endpoint),
    }
    if endpoint.takes_body:
        schema = references[id(endpoint.body), "body"]
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    described["responses"] = {**_success(endpoint, references), **_refusals(endpoint)}
    described["security"] = [{scheme: []} for scheme in _schemes(endpoint)]
    return described


def _schemes(endpoint: AnyEndpoint) -> list[str]:
    if endpoint.audience is Audience.ANYONE:
        # Anybody may come, but a row that refuses the unknown takes whichever session there is.
        takes_any = Unauthenticated in endpoint.refusals
        return [_SCHEME[Audience.MEMBER], _SCHEME[Audience.STAFF]] if takes_any else []
    return [_SCHEME[endpoint.audience]]


def _parameters(endpoint: AnyEndpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(endpoint.path)
    ]
    if endpoint.query is not NoQuery:
        schema = endpoint.query.model_json_schema()
        required = set(schema.get("required", ()))
        for name, part in schema.get("properties", {}).items():
            found.append(
                {
                    "name": name,
                    "in": "query",
                    "required": name in required,
                    "schema": part,
                }
            )
    if endpoint.repeat is Repeat.KEYED:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "新操作用新值，重试用原值 · a new value per operation, the same value for a retry",
                "schema": {
                    "type": "string",
                    "minLength": 8,
                    "maxLength": 128,
                    "pattern": "^[!-~]{8,128}$",
                },
            }
        )
    found.append(
        {
            "name": "Accept-Language",
            "in": "header",
            "required": False,
            "description": "zh-CN | en",
            "schema": {"type": "string", "default": "zh-CN"},
        }
    )
    return found


def _success(endpoint: AnyEndpoint, references: Mapping[tuple[int, str], Any]) -> dict[str, Any]:
    if endpoint.result is Redirect:
        return {
            "303": {
                "description": "转到 · elsewhere",
                "headers": {"Location": {"schema": {"type": "string"}}},
            }
        }
    if endpoint.result is Bytes:
        return {
            "200": {
                "description": "OK",
                "content": {"image/svg+xml": {"schema": {"type": "string"}}},
            }
        }
    if endpoint.result is None:
        return {"204": {"description": "完成 · done"}}
    schema = references[id(endpoint.result), "result"]
    return {
        str(endpoint.status): {
            "description": "OK",
            "content": {"application/json": {"schema": schema}},
        }
    }


def refusals_of(endpoint: AnyEndpoint) -> tuple[type[Refusal], ...]:
    """Every refusal an endpoint may answer: its own and those of the edge."""
    edge: list[type[Refusal]] = [TooMany, Invalid]
    if endpoint.audience is not Audience.ANYONE:
        edge.append(Unauthenticated)
    if endpoint.audience in {Audience.MEMBER, *STAFF}:
        edge.append(SessionEnded)
    if endpoint.audience in {*STAFF, Audience.PARTNER}:
        edge.append(Forbidden)
    if endpoint.takes_body:
        edge += [NotJson, TooLarge, WrongMediaType]
    if endpoint.repeat is Repeat.KEYED:
        edge += [KeyMissing, KeyReused]
    if _PARAMETER.search(endpoint.path):
        edge.append(NotFound)
    return tuple(dict.fromkeys((*endpoint.refusals, *edge)))


def _refusals(endpoint: AnyEndpoint) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for refusal in refusals_of(endpoint):
        by_status.setdefault(refusal.status, []).append(refusal.code)
    return {
        str(status): {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
            "content": {
                "application/problem+json": {
                    "schema": {
                        "allOf": [
                            _PROBLEM_REF,
                            {"properties": {"code": {"enum": codes}}},
                        ]
                    }
                }
            },
        }
        for status, codes in sorted(by_status.items())
    }


def _problems(endpoints: Sequence[AnyEndpoint]) -> dict[str, Any]:
    known = {refusal.code: refusal.status for endpoint in endpoints for refusal in refusals_of(endpoint)}
    return {
        code: {
            "status": known[code],
            **{
                locale: {"title": words.title, "detail": words.detail}
                for locale in LOCALES
                if (words := catalogue(locale).get(code))
            },
        }
        for code in sorted(known)
    }


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "RFC 9457；`code` 稳定，`detail` 给人看 · `code` is stable, `detail` is for people",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": text,
            "detail": text,
            "request_id": text,
            "retry_after_s": {"type": "integer"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"field": text, "problem": text},
                    "required": ["field", "problem"],
                },
            },
        },
        "required": ["type", "title", "status", "code", "detail", "request_id"],
    }


if __name__ == "__main__":
    CONTRACT_PATH.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{CONTRACT_PATH.name}: {len(ENDPOINTS)} endpoints\n")
