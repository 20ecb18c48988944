"""Every record of a topic as JSON lines, decoded by confluent-kafka through a schema registry.

decode.py BROKER REGISTRY PREFIX TOPIC
"""

import base64
import datetime
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
WAIT_S = 30


def named(kind, names):
    """Every type that has a name: later ones are only called by it."""
    if isinstance(kind, list):
        for one in kind:
            named(one, names)
    elif isinstance(kind, dict):
        if "name" in kind and kind["type"] in ("record", "enum", "fixed"):
            names[kind["name"]] = kind
        for inner in kind.get("fields", []):
            named(inner["type"], names)
        named(kind.get("items"), names)
    return names


def plain(value, kind, names):
    """As Postlog writes JSON: bytes as base64, times in milliseconds, a change as {kind: fields}."""
    kind = names.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, list):
        return of_union(value, kind, names)
    if isinstance(kind, dict) and kind["type"] == "record":
        return {field["name"]: plain(value[field["name"]], field["type"], names) for field in kind["fields"]}
    if isinstance(kind, dict) and kind["type"] == "array":
        return [plain(item, kind["items"], names) for item in value]
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def of_union(value, kinds, names):
    if value is None:
        return None
    kinds = [names.get(kind, kind) if isinstance(kind, str) else kind for kind in kinds if kind != "null"]
    if not isinstance(value, tuple):
        return plain(value, kinds[0], names)
    name = value[0].split(".")[-1]
    fields = plain(value[1], names[name], names)
    return {name: fields} if len(kinds) > 1 else fields


def main(broker, registry, prefix, topic):
    client = SchemaRegistryClient({"url": registry})
    decode = AvroDeserializer(client, return_record_name=True)
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "postlog-tests-look",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    name = prefix + topic
    partitions = consumer.list_topics(name, timeout=WAIT_S).topics[name].partitions
    consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in partitions])
    ended = set()
    while len(ended) < len(partitions):
        message = consumer.poll(WAIT_S)
        if message is None:
            sys.exit(f"{name}: nothing comes within {WAIT_S} s")
        if message.error():
            ended.add(message.partition())
            continue
        event = None
        if message.value() is not None:
            identifier = int.from_bytes(message.value()[1:5], "big")
            kind = json.loads(client.get_schema(identifier).schema_str)
            value = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
            event = plain(value, kind, named(kind, {}))
        place = {"partition": message.partition(), "offset": message.offset()}
        print(json.dumps({**place, "event": event}))


main(*sys.argv[1:])
