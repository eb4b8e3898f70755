//! The target for models of boosted trees: what must hold of any bytes whatever, as a model's own and as XGBoost's JSON.

use tidemark_domain::trees::{TreeModel, TreeModelKey, join, split};

/// A model's own bytes: what mutations start from.
pub const MODEL: &[u8] = include_bytes!("../../../shared/domain/tests/golden/trees-v1.bin");

/// A model of XGBoost's.
pub const JSON: &[u8] = include_bytes!("../../../shared/domain/tests/trees/xgboost-3.json");

/// Pieces that mutations put into the JSON.
pub const PIECES: [&[u8]; 20] = [
    b"-1",
    b"0",
    b"1",
    b"2147483647",
    b"-2147483648",
    b"4294967296",
    b"1E39",
    b"1E-50",
    b"1E999",
    b"NaN",
    b"-Infinity",
    b"null",
    b"\"\"",
    b"[]",
    b"{}",
    b",",
    b"[[[[",
    b"\"dart\"",
    b"\"categories_nodes\":[1]",
    b"\xff",
];

/// Checks bytes in the place of a model's own. Either they are refused, and the answer says why; or they are a model, which is
/// written as the same bytes again and scores any values.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check(bytes: &[u8]) -> Result<Option<String>, String> {
    let model = match TreeModel::decode(bytes) {
        Ok(model) => model,
        Err(error) => return Ok(Some(error.to_string())),
    };
    if model.encode() != bytes {
        return Err("a model in another spelling than its own was read".to_owned());
    }
    check_model(&model)?;
    Ok(None)
}

/// Checks bytes that stand where XGBoost's JSON was: they are refused, or a model whose bytes give it again.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check_json(bytes: &[u8]) -> Result<Option<String>, String> {
    let model = match TreeModel::from_xgboost(bytes) {
        Ok(model) => model,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let own = model.encode();
    if TreeModel::decode(&own).as_ref() != Ok(&model) {
        return Err("encoding and decoding again gave another model".to_owned());
    }
    let chunks = split(&own).map_err(|error| error.to_string())?;
    if join(TreeModelKey::of(&own), &chunks).as_ref() != Ok(&own) {
        return Err("the chunks of a model don't give its bytes".to_owned());
    }
    check_model(&model)?;
    Ok(None)
}

/// A model gives every row a finite margin, and contributions that add up to it.
fn check_model(model: &TreeModel) -> Result<(), String> {
    let features = model.features().len();
    for value in [f32::NAN, f32::NEG_INFINITY, -1.0, 0.0, 1.0, 100.0, f32::INFINITY] {
        let values: Vec<f32> = (0..features)
            .map(|feature| if feature % 3 == 2 { -value } else { value })
            .collect();
        let margin = model.margin(&values).map_err(|error| error.to_string())?;
        let parts = model.contributions(&values).map_err(|error| error.to_string())?;
        if !margin.0.is_finite() || !(0.0..=1.0).contains(&margin.probability()) {
            return Err(format!("a margin of {}", margin.0));
        }
        // Single precision rounds a sum once a tree, by 2^-24 of what the sum is then at most.
        let sum = parts.expected + parts.parts.iter().sum::<f64>();
        let largest = f64::from(model.base_margin()).abs() + 1e6 * model.trees() as f64;
        if (sum - f64::from(margin.0)).abs() > largest * model.trees() as f64 / f64::from(1 << 23) {
            return Err(format!("contributions of {sum} for a margin of {}", margin.0));
        }
    }
    Ok(())
}
