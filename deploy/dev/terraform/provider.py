"""A provider that knows schemas and nothing else: provider.py SCHEMA.json SOCKET TYPE… It prints a line when it listens.

Of the schemas it serves those of the named types: Terraform reads all that it gets again and again. A type that does not exist is
in neither list, and Terraform refuses it.

Terraform attaches to it by TF_REATTACH_PROVIDERS, so that `validate` and `test` with mocks work without a network. It can't apply
anything and checks no values; unknown arguments, missing ones and wrong types are found by Terraform itself.
"""

import json
import os
import sys
from concurrent import futures

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
messages, services = grpc.protos_and_services("tfplugin5.proto")
Nesting = messages.Schema.NestedBlock


def fixed(shape):
    """Blocks in a set can't hold dynamic types; texts convert from everything that a module writes there."""
    if shape == "dynamic":
        return "string"
    return [shape[0], fixed(shape[1])] if isinstance(shape, list) else shape


def block(source, computed, is_resource, in_set=False):
    out = messages.Schema.Block()
    for name, shape, required in source["attributes"]:
        kind = json.dumps(fixed(shape) if in_set else shape).encode()
        # Arguments that never stand in the state end so, all of them.
        write_only = name.endswith("_wo")
        computed_too = is_resource and not required and not write_only
        out.attributes.add(name=name, type=kind, required=required, optional=not required, computed=computed_too, write_only=write_only)
    for name, shape in computed:
        out.attributes.add(name=name, type=json.dumps(shape).encode(), computed=True)
    for name, nesting, most, least, inner in source["blocks"]:
        counted = nesting in ("LIST", "SET")
        out.block_types.add(
            type_name=name,
            nesting=getattr(Nesting, nesting),
            max_items=most if counted else 0,
            min_items=least if counted else 0,
            block=block(inner, (), is_resource, in_set or nesting == "SET"),
        )
    return out


def schemas(path, wanted):
    with open(path) as file:
        source = json.load(file)
    answer = messages.GetProviderSchema.Response()
    answer.provider.block.CopyFrom(block(next(iter(source["Provider"].values()))["block"], (), False))
    for name, entry in source["Resource"].items():
        if name not in wanted:
            continue
        answer.resource_schemas[name].block.CopyFrom(block(entry["block"], entry["computed"], True))
    for name, entry in source["DataSource"].items():
        if name not in wanted:
            continue
        answer.data_source_schemas[name].block.CopyFrom(block(entry["block"], entry["computed"], True))
    return answer


class Provider(services.ProviderServicer):
    def __init__(self, answer):
        self.answer = answer

    def GetSchema(self, request, context):
        return self.answer

    def PrepareProviderConfig(self, request, context):
        return messages.PrepareProviderConfig.Response(prepared_config=request.config)

    def ValidateResourceTypeConfig(self, request, context):
        return messages.ValidateResourceTypeConfig.Response()

    def ValidateDataSourceConfig(self, request, context):
        return messages.ValidateDataSourceConfig.Response()

    def Configure(self, request, context):
        return messages.Configure.Response()

    def Stop(self, request, context):
        return messages.Stop.Response()


def main(schema, socket, *wanted):
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=unlimited)
    services.add_ProviderServicer_to_server(Provider(schemas(schema, set(wanted))), server)
    server.add_insecure_port("unix:" + socket)
    server.start()
    print("listening", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
