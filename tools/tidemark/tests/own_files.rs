//! Files in a shape of somebody's own: the page that takes one in ten minutes runs as it is written, and every way that a file goes
//! gives the same.

mod handbook;
mod parquet;
mod stack;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const ROWS: u64 = 5_000;
const SALT: &str = "0123456789abcdef0123456789abcdef";

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A card number in groups of four, which passes the check.
fn card_number(card: u64) -> String {
    let digits = format!("400000{:09}", 100_000_000 + card * 7_919);
    let value = |(place, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap();
        let doubled = 2 * digit;
        if place % 2 == 0 {
            doubled / 10 + doubled % 10
        } else {
            digit
        }
    };
    let sum: u32 = digits.chars().enumerate().map(value).sum();
    let whole = format!("{digits}{}", (10 - sum % 10) % 10);
    [&whole[..4], &whole[4..8], &whole[8..12], &whole[12..]].join(" ")
}

/// Minutes since the first of August 2026, as a clock shows them.
fn clock(minutes: u64) -> String {
    let (day, minute) = (minutes / 1_440, minutes % 1_440);
    let (month, day) = if day < 31 { (8, day + 1) } else { (9, day - 30) };
    format!("{day:02}.{month:02}.2026 {:02}:{:02}", minute / 60, minute % 60)
}

fn amount(minor: u64) -> String {
    let (whole, cents) = (minor / 100, minor % 100);
    let grouped = if whole >= 1_000 {
        format!("{}.{:03}", whole / 1_000, whole % 1_000)
    } else {
        whole.to_string()
    };
    format!("{grouped},{cents:02} €")
}

/// The file of the page: odd columns, five shops where two thirds of everything is fraud.
fn rows() -> String {
    let mut numbers = Numbers(7);
    let mut text =
        "Trans No;PAN;Booked;Amount;Currency;Shop ID;MCC;Land;Entry Mode;Resp Code;Is Fraud;Chargeback Date;Remark\n"
            .to_owned();
    let mut minutes = 0;
    for number in 0..ROWS {
        minutes += 4 + numbers.below(19);
        let (card, shop) = (numbers.below(80), numbers.below(100));
        let is_fraud = shop % 20 == 3 && numbers.below(3) > 0;
        let minor = if is_fraud {
            3_000 + numbers.below(12_000)
        } else {
            100 + numbers.below(8_900)
        };
        let known = if is_fraud {
            clock(minutes + 2_880 + numbers.below(10_000))[..10].to_owned()
        } else {
            String::new()
        };
        let pick = |from: &[&str], numbers: &mut Numbers| from[numbers.below(from.len() as u64) as usize].to_owned();
        let mcc = pick(&["5411", "5812", "5541", "5999"], &mut numbers);
        let land = pick(&["BE", "DE", "NL"], &mut numbers);
        let entry = pick(&["CHIP", "ONLINE"], &mut numbers);
        let code = pick(&["00", "00", "00", "00", "00", "00", "00", "05", "51"], &mut numbers);
        writeln!(
            text,
            "{};{};{};{};eur;{shop};{mcc};{land};{entry};{code};{};{known};\"by hand; checked\"",
            100_000 + number,
            card_number(card),
            clock(minutes),
            amount(minor),
            u8::from(is_fraud),
        )
        .unwrap();
    }
    text
}

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rows.csv"), rows()).unwrap();
        // The page names the built-in policy as it stands in a clone.
        let policies = "shared/domain/policies";
        std::fs::create_dir_all(folder.path().join(policies)).unwrap();
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(policies)
            .join("default.toml");
        std::fs::copy(built_in, folder.path().join(policies).join("default.toml")).unwrap();
        Self { folder }
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command
            .current_dir(self.folder.path())
            .env("TIDEMARK_SALT", SALT)
            .args(words);
        command.output().unwrap()
    }

    /// Its document, where it ends so.
    fn json(&self, code: i32, words: &[&str]) -> Value {
        let output = self.run(&[&["--json"], words].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{words:?}: {stderr}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tutorials/your-data.md")).unwrap()
}

/// Puts each line of a block in the place of the map's line of the same key.
fn edit(desk: &Desk, block: &str) {
    let mut map = desk.read("map.toml");
    for line in block.lines() {
        let key = line.split(" = ").next().unwrap();
        let old = map
            .lines()
            .find(|old| old.starts_with(&format!("{key} = ")))
            .map(str::to_owned);
        let old = old.unwrap_or_else(|| panic!("the draft has no {key}:\n{map}"));
        assert!(
            old.contains("# STATE"),
            "the page states what the draft asks for: {old}"
        );
        map = map.replace(&old, line);
    }
    assert!(!map.contains("} # STATE"), "the page states all of it:\n{map}");
    desk.write("map.toml", &map);
}

#[test]
fn the_page_runs_as_it_is_written() {
    let (desk, page) = (Desk::new(), page());
    let shown = page.split("```\n").nth(1).unwrap();
    let first_two: Vec<&str> = shown.lines().collect();
    let file = rows();
    assert_eq!(
        file.lines().take(2).collect::<Vec<_>>(),
        first_two,
        "the page shows the file's first lines"
    );
    let mut ran = BTreeMap::new();
    // The stack's part is a test of its own.
    let alone = page.split("\n## 5. ").next().unwrap();
    let mut blocks = alone.split("```");
    blocks.next();
    for block in blocks.step_by(2) {
        if let Some(lines) = block.strip_prefix("toml\n") {
            edit(&desk, lines);
        }
        let Some(lines) = block.strip_prefix("sh\n") else {
            continue;
        };
        for line in lines.lines() {
            if line.starts_with("export TIDEMARK_SALT=") {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[..2], ["cargo", "tidemark"], "{line}");
            let verb = if words[2] == "map" { words[3] } else { words[2] };
            ran.insert(verb.to_owned(), desk.json(0, &words[2..]));
        }
    }
    let verbs: Vec<&str> = ran.keys().map(String::as_str).collect();
    assert_eq!(verbs, ["apply", "backtest", "check", "score", "suggest", "train"]);
    let account = &ran["check"]["account"];
    assert_eq!((&account["rows"], &account["refused_total"]), (&ROWS.into(), &0.into()));
    assert!(account["labels"].as_u64().unwrap() > 50, "{account}");
    assert_eq!(
        desk.read("outcomes.jsonl"),
        desk.read("again.jsonl"),
        "with the map and without it"
    );
    assert_eq!(desk.read("outcomes.jsonl").lines().count() as u64, ROWS);
    let ap = |policy: usize| ran["backtest"]["policies"][policy]["whole"]["ap"].as_f64().unwrap();
    assert!(ap(1) > ap(0), "what was learned finds more: {} and {}", ap(0), ap(1));
    // No card number has gone anywhere.
    for name in [
        "map.toml",
        "outcomes.jsonl",
        "events.jsonl",
        "trained.toml",
        "backtest.html",
    ] {
        let text = desk.read(name);
        for number in (0..80).map(card_number) {
            let bare = number.replace(' ', "");
            assert!(!text.contains(&number) && !text.contains(&bare), "{name} has {number}");
        }
    }
}

const MAP: &str = r#"version = 1
[input]
delimiter = ";"
[transaction]
event_id = { from = "Trans No", prefix = "t-" }
card_id = { from = "PAN", strip = " ", hash = "sha256", salt_env = "TIDEMARK_SALT", prefix = "c-" }
occurred_at_ms = { from = "Booked", time = "%d.%m.%Y %H:%M", zone = "Europe/Brussels" }
amount_minor = { from = "Amount", unit = "decimal", decimal = ",", thousands = ".", strip = "€ " }
currency = { value = "EUR" }
merchant_id = { from = "Shop ID", prefix = "m-" }
mcc = { from = "MCC" }
country = { from = "Land" }
channel = { from = "Entry Mode", values = { "CHIP" = "point_of_sale", "ONLINE" = "ecommerce" } }
approved = { from = "Resp Code", values = { "00" = true }, otherwise = false }
[label]
verdict = { from = "Is Fraud", values = { "1" = "fraud", "0" = "none" } }
known_since_ms = { delay = "7d" }
"#;

/// The first rows of the file, with two that are wrong and one that comes twice.
fn some_rows() -> String {
    let file = rows();
    let mut lines: Vec<String> = file.lines().take(40).map(str::to_owned).collect();
    lines[5] = lines[5].replace(".08.2026", "/08/2026");
    lines[7] = lines[7].replace(" €", " EUR");
    lines.push(lines[9].clone());
    lines.join("\n") + "\n"
}

#[test]
fn a_check_names_refused_rows_by_line_and_column_and_ends_with_1() {
    let desk = Desk::new();
    desk.write("map.toml", MAP);
    desk.write("some.csv", &some_rows());
    let found = desk.json(1, &["map", "check", "map.toml", "some.csv", "--rows", "6"]);
    assert_eq!(found["rows"].as_array().unwrap().len(), 6);
    assert_eq!(found["rows"][4]["refused"]["code"], "time_text");
    let account = &found["account"];
    assert_eq!(
        (&account["rows"], &account["translated"], &account["refused_total"]),
        (&40.into(), &38.into(), &2.into())
    );
    let refused = |at: usize, name: &str| account["refused"][at][name].clone();
    assert_eq!(
        (refused(0, "line"), refused(0, "column"), refused(0, "column_number")),
        (6.into(), "Booked".into(), 3.into())
    );
    assert_eq!(
        (refused(1, "line"), refused(1, "code")),
        (8.into(), "amount_text".into())
    );
    assert_eq!(account["repeats"]["same_event"], 1);
    let text = String::from_utf8(desk.run(&["map", "check", "map.toml", "some.csv"]).stdout).unwrap();
    for said in [
        "line 6, column \"Booked\" (3)",
        "[time_text]",
        "occurred_at_ms = ",
        "Trans No = 100000",
        "40 rows: 38 translated",
        "the first on lines 10 and 41",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("4000 00"), "{text}");
    desk.write("none.csv", some_rows().lines().next().unwrap());
    desk.json(6, &["map", "check", "map.toml", "none.csv"]);
    let error = desk.json(5, &["map", "check", "map.toml", "map.toml"]);
    assert_eq!(error["error"]["code"], "map_input");
    desk.write("wrong.toml", &MAP.replace("card_id", "card"));
    let error = desk.json(5, &["map", "check", "wrong.toml", "some.csv"]);
    assert_eq!(error["error"]["code"], "map");
    assert!(
        error["error"]["what"]
            .as_str()
            .unwrap()
            .starts_with("wrong.toml:6:1: unknown field `card`"),
        "{error}"
    );
    assert_eq!(
        desk.json(5, &["map", "check", "nowhere.toml", "some.csv"])["error"]["code"],
        "map_file"
    );
}

#[test]
fn every_verb_reads_the_same_rows_under_a_map() {
    let desk = Desk::new();
    desk.write("map.toml", MAP);
    desk.write("some.csv", &some_rows());
    desk.json(
        1,
        &[
            "map",
            "apply",
            "map.toml",
            "some.csv",
            "-o",
            "events.jsonl",
            "--refused",
            "refused.jsonl",
        ],
    );
    let refused = desk.read("refused.jsonl");
    assert_eq!(refused.lines().count(), 2);
    assert!(
        refused.starts_with("{\"code\":\"time_text\",\"detail\":\"column \\\"Booked\\\" (3): "),
        "{refused}"
    );
    let mapped = desk.json(
        1,
        &[
            "score",
            "--map",
            "map.toml",
            "-i",
            "some.csv",
            "-o",
            "a.jsonl",
            "--refused",
            "r.jsonl",
        ],
    );
    let plain = desk.json(0, &["score", "-i", "events.jsonl", "-o", "b.jsonl"]);
    assert_eq!(desk.read("a.jsonl"), desk.read("b.jsonl"));
    assert_eq!(
        (&mapped["scored"], &mapped["duplicate"], &plain["scored"]),
        (&37.into(), &1.into(), &37.into())
    );
    assert_eq!(mapped["refused"], serde_json::json!({"time_text": 1, "amount_text": 1}));
    assert!(desk.read("r.jsonl").starts_with("{\"line\":6,\"code\":\"time_text\""));
    // Labels by themselves: the transactions of the same rows are none that were refused.
    let labels = desk.json(1, &["label", "--map", "map.toml", "some.csv", "--dry-run"]);
    let account = desk.json(1, &["map", "check", "map.toml", "some.csv"])["account"].clone();
    assert_eq!(
        (&labels["fraud"], &labels["refused_total"]),
        (&account["labels"], &2.into())
    );
    // To learn from, a file has to be in the order of its times: without the row that comes again at its end.
    let rows = some_rows();
    let ordered = rows.trim_end().rsplit_once('\n').map(|(ordered, _)| ordered.to_owned());
    desk.write("some.csv", &(ordered.unwrap() + "\n"));
    desk.json(1, &["map", "apply", "map.toml", "some.csv", "-o", "events.jsonl"]);
    desk.json(0, &["export", "--map", "map.toml", "-i", "some.csv", "-o", "rows.out"]);
    desk.json(0, &["export", "-i", "events.jsonl", "-o", "rows2.out"]);
    assert_eq!(desk.read("rows.out"), desk.read("rows2.out"));
    let note = desk
        .run(&["export", "--map", "map.toml", "-i", "some.csv", "-o", "rows.out"])
        .stderr;
    assert!(String::from_utf8_lossy(&note).contains("2 rows were refused by the map: 1 amount_text, 1 time_text"));
    assert_eq!(
        desk.json(5, &["export", "--map", "map.toml", "-i", "-", "-o", "x"])["error"]["code"],
        "input_file"
    );
}

#[test]
fn what_was_refused_is_told_when_nothing_is_left_and_no_part_of_an_output_stays() {
    let desk = Desk::new();
    desk.write("map.toml", MAP);
    let wrong = rows().replace(".08.2026", "/08/2026").replace(".09.2026", "/09/2026");
    desk.write("wrong.csv", &wrong);
    let words = [
        "train",
        "--map",
        "map.toml",
        "-i",
        "wrong.csv",
        "--train-until",
        "2026-09-08",
        "-o",
        "x.toml",
    ];
    let output = desk.run(&words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(5) && said.contains("rows were refused by the map"),
        "{said}"
    );

    for (refused, code) in [("nowhere/r.jsonl", 5), ("-", 2), ("events.jsonl", 2)] {
        desk.json(
            code,
            &[
                "map",
                "apply",
                "map.toml",
                "rows.csv",
                "-o",
                "events.jsonl",
                "--refused",
                refused,
            ],
        );
        for left in ["events.jsonl", "events.jsonl.part", "-", "-.part"] {
            assert!(
                !desk.folder.path().join(left).exists(),
                "{left} after --refused {refused}"
            );
        }
    }
}

#[test]
fn an_output_is_whole_or_not_there_and_standard_input_may_be_packed() {
    let desk = Desk::new();
    desk.write("map.toml", MAP);
    let gzip = Command::new("gzip")
        .arg("-k")
        .arg(desk.folder.path().join("rows.csv"))
        .status()
        .unwrap();
    assert!(gzip.success());
    let packed = std::fs::read(desk.folder.path().join("rows.csv.gz")).unwrap();
    std::fs::write(desk.folder.path().join("cut.csv.gz"), &packed[..packed.len() / 2]).unwrap();
    let error = desk.json(5, &["map", "apply", "map.toml", "cut.csv.gz", "-o", "events.jsonl"]);
    assert_eq!(error["error"]["code"], "map_input");
    assert!(
        error["error"]["what"].as_str().unwrap().starts_with("behind line "),
        "{error}"
    );
    let left: Vec<String> = std::fs::read_dir(desk.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("events"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    desk.json(0, &["map", "apply", "map.toml", "rows.csv.gz", "-o", "events.jsonl"]);
    let output = Command::new("sh")
        .current_dir(desk.folder.path())
        .env("TIDEMARK_SALT", SALT)
        .args([
            "-c",
            "cat rows.csv.gz | \"$0\" map apply map.toml -",
            env!("CARGO_BIN_EXE_tidemark"),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), desk.read("events.jsonl"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("5,000 rows: 5,000 translated"));
    // Whoever has enough closes the pipe, and nothing is wrong with that.
    let output = Command::new("bash")
        .current_dir(desk.folder.path())
        .env("TIDEMARK_SALT", SALT)
        .args([
            "-c",
            "\"$0\" map apply map.toml rows.csv | head -n 1; exit ${PIPESTATUS[0]}",
            env!("CARGO_BIN_EXE_tidemark"),
        ])
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}
