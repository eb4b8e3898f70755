"""Tidemark in an app of AWS CDK: its two templates as they are, and its functions as assets of the app.

    cdk deploy --all -c tidemark=CHECKOUT -c bootstraps=CHECKOUT/target/lambda

docs/reference/deploy.md says how to build the functions (Terraform and CDK).
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sam as sam
from aws_cdk import cloudformation_include as include

PREFIX = "payments-tidemark"


class Alarms(cdk.Stack):
    """What infra/observability.yaml has."""

    def __init__(self, scope: cdk.App, name: str, checkout: str, **parameters):
        super().__init__(scope, name)
        template = f"{checkout}/infra/observability.yaml"
        include.CfnInclude(self, "Alarms", template_file=template, parameters={"Prefix": PREFIX, **parameters})


class Pipeline(cdk.Stack):
    """What infra/template.yaml has, and a role of a producer."""

    def __init__(self, scope: cdk.App, name: str, checkout: str, bootstraps: str, **parameters):
        super().__init__(scope, name)
        template = f"{checkout}/infra/template.yaml"
        tidemark = include.CfnInclude(
            self, "Tidemark", template_file=template, parameters={"Prefix": PREFIX, **parameters}
        )
        for function in ("score", "redrive"):
            # A folder with the one file `bootstrap`; CDK zips it and names it by the digest of its bytes.
            code = assets.Asset(self, f"{function}-code", path=f"{bootstraps}/{function}")
            resource = tidemark.get_resource(f"{function.capitalize()}Function")
            resource.code_uri = sam.CfnFunction.S3LocationProperty(bucket=code.s3_bucket_name, key=code.s3_object_key)
        producer = iam.Role(self, "Producer", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        stream = tidemark.get_resource("TransactionsStream")
        producer.add_to_policy(iam.PolicyStatement(actions=["kinesis:PutRecords"], resources=[stream.attr_arn]))


app = cdk.App()
context = app.node.get_context
checkout, bootstraps = context("tidemark"), context("bootstraps")
# A stack takes what both templates have by the same value; what is not named has the template's default.
alarms = Alarms(app, "tidemark-alarms", checkout, StreamShards=2)
pipeline = Pipeline(app, "tidemark", checkout, bootstraps, StreamShards=2, LogRetentionDays=90)
# A canary whose alarms are not there stops.
pipeline.add_dependency(alarms)
app.synth()
