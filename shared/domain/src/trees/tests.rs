//! What only the inside shows.

use super::model::Node;

#[test]
fn a_node_takes_16_bytes() {
    assert_eq!(size_of::<Node>(), 16);
}
