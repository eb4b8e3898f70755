//! An alarm of the template, and whether it rings in a world.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::formula::compute;
use super::world::{Series, World};

const SECONDS_PER_MINUTE: u64 = 60;

/// The template as CloudFormation takes it with these parameters, and every parameter's value.
pub struct Template {
    resources: BTreeMap<String, Value>,
    values: BTreeMap<String, String>,
}

/// What an alarm compares with its threshold.
enum Quantity {
    Metric(Series),
    Expression(String, BTreeMap<String, Series>),
}

/// An alarm on metrics.
pub struct Alarm {
    pub name: String,
    quantity: Quantity,
    period_minutes: u64,
    periods: u64,
    breaches: u64,
    threshold: f64,
    rings_above: bool,
    missing_breaches: bool,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Template {
    pub fn read(parameters: &[(&str, &str)]) -> Self {
        Self::of("infra/observability.yaml", parameters)
    }

    /// What an emulator gets in the place of alarms that compute, for the same parameters.
    pub fn emulated(parameters: &[(&str, &str)]) -> Self {
        let number = |name: &str| {
            let given = parameters.iter().find(|(known, _)| *known == name);
            given.map(|(_, value)| value.parse::<u64>().unwrap())
        };
        let mut given: Vec<(&str, String)> = Vec::new();
        for (name, value) in parameters.iter().filter(|(name, _)| name.starts_with("Table")) {
            given.push((*name, (*value).to_owned()));
        }
        let mut computes = |from: &str, to: &'static str, compute: &dyn Fn(u64) -> u64| {
            given.extend(number(from).map(|value| (to, compute(value).to_string())));
        };
        computes("MappingWindowSeconds", "IteratorAgeMsMax", &|seconds| {
            (60 + seconds) * 1_000
        });
        computes("StreamRetentionHours", "OldestDeadLetterAgeMsMax", &|hours| {
            (hours - 24) * 3_600_000
        });
        computes("TableReadUnitsMax", "TableReadUnitsPerMinuteMax", &|units| units * 48);
        computes("TableWriteUnitsMax", "TableWriteUnitsPerMinuteMax", &|units| units * 48);
        let given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Self::of("infra/emulators.yaml", &given)
    }

    fn of(path: &str, parameters: &[(&str, &str)]) -> Self {
        let given = parameters.iter().map(|(name, value)| format!("{name}={value}"));
        let template = e2e::decided(path, given).unwrap();
        let declared = template["Parameters"].as_object().unwrap();
        let mut values: BTreeMap<String, String> = declared
            .iter()
            .map(|(name, parameter)| (name.clone(), text(&parameter["Default"])))
            .collect();
        values.extend(
            parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let resources = template["Resources"].as_object().unwrap().clone();
        Self {
            resources: resources.into_iter().collect(),
            values,
        }
    }

    /// A text with parameters put in, or a parameter.
    fn put_in(&self, value: &Value) -> String {
        if let Some(name) = value["Ref"].as_str() {
            return self.values[name].clone();
        }
        let mut text = text(value.get("Fn::Sub").unwrap_or(value));
        for (name, value) in &self.values {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        assert!(!text.contains("${"), "{text}: a name that is not put in");
        text
    }

    fn series(&self, metric: &Value, stat: &Value) -> Series {
        let dimensions = metric["Dimensions"].as_array().unwrap();
        assert_eq!(dimensions.len(), 1, "{metric}: worlds have metrics of one dimension");
        // Under another name there is no metric: such an alarm never rings.
        let named = match metric["Namespace"].as_str().unwrap() {
            "Tidemark" => "function",
            "AWS/Lambda" => "FunctionName",
            "AWS/Kinesis" => "StreamName",
            "AWS/DynamoDB" => "TableName",
            "AWS/SQS" => "QueueName",
            other => panic!("{other}: whose dimension nobody wrote down"),
        };
        assert_eq!(dimensions[0]["Name"], named, "{metric}");
        Series {
            metric: format!(
                "{} {} {}",
                metric["Namespace"].as_str().unwrap(),
                metric["MetricName"].as_str().unwrap(),
                self.put_in(&dimensions[0]["Value"])
            ),
            stat: stat.as_str().unwrap().to_owned(),
        }
    }

    fn alarm(&self, properties: &Value) -> Alarm {
        let number = |name: &str| properties[name].as_u64();
        let (quantity, period_s) = match properties["Metrics"].as_array() {
            None => {
                let series = self.series(properties, &properties["Statistic"]);
                (Quantity::Metric(series), number("Period").unwrap())
            }
            Some(metrics) => self.expression(metrics),
        };
        let periods = number("EvaluationPeriods").unwrap();
        Alarm {
            name: self.put_in(&properties["AlarmName"]),
            quantity,
            period_minutes: period_s / SECONDS_PER_MINUTE,
            periods,
            breaches: number("DatapointsToAlarm").unwrap_or(periods),
            threshold: self.put_in(&properties["Threshold"]).parse().unwrap(),
            rings_above: match properties["ComparisonOperator"].as_str().unwrap() {
                "GreaterThanThreshold" => true,
                "LessThanThreshold" => false,
                other => panic!("{other}"),
            },
            missing_breaches: match properties["TreatMissingData"].as_str().unwrap() {
                "breaching" => true,
                "notBreaching" => false,
                other => panic!("{other}"),
            },
        }
    }

    fn expression(&self, metrics: &[Value]) -> (Quantity, u64) {
        let mut series = BTreeMap::new();
        let mut periods = BTreeSet::new();
        let mut expressions = Vec::new();
        for metric in metrics {
            let stat = &metric["MetricStat"];
            if stat.is_null() {
                expressions.push(self.put_in(&metric["Expression"]));
                continue;
            }
            assert_eq!(metric["ReturnData"], false, "{metric}: the alarm is on the expression");
            periods.insert(stat["Period"].as_u64().unwrap());
            let id = metric["Id"].as_str().unwrap().to_owned();
            series.insert(id, self.series(&stat["Metric"], &stat["Stat"]));
        }
        assert_eq!(
            (expressions.len(), periods.len()),
            (1, 1),
            "one expression, one period: {metrics:?}"
        );
        let expression = Quantity::Expression(expressions.remove(0), series);
        (expression, periods.pop_first().unwrap())
    }

    /// Every alarm on metrics.
    pub fn alarms(&self) -> Vec<Alarm> {
        let is_alarm = |resource: &&Value| resource["Type"] == "AWS::CloudWatch::Alarm";
        let alarms = self.resources.values().filter(is_alarm);
        alarms.map(|alarm| self.alarm(&alarm["Properties"])).collect()
    }

    /// The alarms that join others, and which.
    pub fn composites(&self) -> BTreeMap<String, BTreeSet<String>> {
        let is_composite = |resource: &&Value| resource["Type"] == "AWS::CloudWatch::CompositeAlarm";
        let composites = self.resources.values().filter(is_composite);
        composites
            .map(|composite| {
                let rule = self.put_in(&composite["Properties"]["AlarmRule"]);
                let parts = rule.split(" AND ").map(|part| {
                    let name = part.strip_prefix("ALARM(\"").and_then(|part| part.strip_suffix("\")"));
                    name.unwrap_or_else(|| panic!("{rule}")).to_owned()
                });
                (self.put_in(&composite["Properties"]["AlarmName"]), parts.collect())
            })
            .collect()
    }
}

impl Alarm {
    /// Whether it rings at the end of that world.
    pub fn rings(&self, world: &World) -> bool {
        let breaches = (0..self.periods).filter(|back| {
            let value = self.value(world, back * self.period_minutes);
            value.map_or(self.missing_breaches, |value| {
                if self.rings_above {
                    value > self.threshold
                } else {
                    value < self.threshold
                }
            })
        });
        breaches.count() as u64 >= self.breaches
    }

    /// What it looks at, in the period that ended so many minutes before the world's end.
    fn value(&self, world: &World, ended_minutes: u64) -> Option<f64> {
        let of = |series: &Series| world.value(series, ended_minutes, self.period_minutes);
        match &self.quantity {
            Quantity::Metric(series) => of(series),
            Quantity::Expression(expression, series) => {
                let values = series.iter().map(|(id, series)| (id.clone(), of(series))).collect();
                compute(expression, &values).unwrap_or_else(|problem| panic!("{}: {problem}", self.name))
            }
        }
    }

    /// The metrics that it looks at.
    pub fn metrics(&self) -> Vec<&str> {
        match &self.quantity {
            Quantity::Metric(series) => vec![&series.metric],
            Quantity::Expression(_, series) => series.values().map(|series| series.metric.as_str()).collect(),
        }
    }
}
