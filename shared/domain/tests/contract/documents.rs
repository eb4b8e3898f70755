//! The documents name every code, every field and every limit, and nothing that is not there.

use std::path::PathBuf;

use tidemark_domain::contract::schemas;
use tidemark_domain::refusal::RefusalCode;

fn document(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_page_of_refusals_has_each_code_once_in_order() {
    let page = document("errors/refusals.md");
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes);
}

#[test]
fn the_reference_has_each_field() {
    let page = document("reference/contract.md");
    for (name, schema) in schemas() {
        for field in schema["properties"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{field}`")), "{name}: {field}");
        }
    }
}
