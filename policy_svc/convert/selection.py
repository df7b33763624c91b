"""Between protobuf and what a policy picks: filters, and the newest tags."""

from typing import Final

from policy_svc.convert.parts import duration, timedelta_from_pb
from replication.filters import Action, Dimension, FilterRule
from replication.matchers import MATCHERS
from replication.newest import Newest, Order
from transship.type.v1 import filter_pb2
from transship.type.v1.filter_pb2 import Filter

DIMENSIONS: Final = {
    Dimension.NAME: Filter.DIMENSION_NAME,
    Dimension.TAG: Filter.DIMENSION_TAG,
    Dimension.LABEL: Filter.DIMENSION_LABEL,
    Dimension.RESOURCE_TYPE: Filter.DIMENSION_RESOURCE_TYPE,
}
DIMENSIONS_FROM_PB: Final = {value: key for key, value in DIMENSIONS.items()}

_ACTIONS: Final = {Action.INCLUDE: Filter.ACTION_INCLUDE, Action.EXCLUDE: Filter.ACTION_EXCLUDE}
_ORDERS: Final = {
    Order.SEMVER: filter_pb2.Newest.ORDER_SEMVER,
    Order.CREATE_TIME: filter_pb2.Newest.ORDER_CREATE_TIME,
}
_ORDERS_FROM_PB: Final = {value: key for key, value in _ORDERS.items()}


def rule_from_pb(rule: Filter) -> FilterRule:
    action = Action.EXCLUDE if rule.action == Filter.ACTION_EXCLUDE else Action.INCLUDE
    kind = rule.WhichOneof("matcher") or "glob"
    return FilterRule(
        dimension=DIMENSIONS_FROM_PB[rule.dimension], action=action, matcher=MATCHERS[kind](getattr(rule, kind))
    )


def rule_to_pb(rule: FilterRule) -> Filter:
    message = Filter(dimension=DIMENSIONS[rule.dimension], action=_ACTIONS[rule.action])
    setattr(message, rule.matcher.kind, rule.matcher.text)
    return message


def newest_from_pb(newest: filter_pb2.Newest) -> Newest:
    return Newest(
        order=_ORDERS_FROM_PB[newest.order],
        count=newest.count,
        max_age=timedelta_from_pb(newest.max_age) if newest.HasField("max_age") else None,
        min_count=newest.min_count,
    )


def newest_to_pb(newest: Newest) -> filter_pb2.Newest:
    return filter_pb2.Newest(
        order=_ORDERS[newest.order],
        count=newest.count,
        max_age=duration(newest.max_age),
        min_count=newest.min_count,
    )
