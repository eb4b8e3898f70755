//! What the functions say of themselves: metrics in CloudWatch's embedded format, structured logs, error codes.
//!
//! Never here: a payload, a card number, a secret (I9). A metric carries numbers and names from a fixed list; a log line
//! carries counts, codes and sequence numbers.

pub mod emf;
pub mod error_code;
pub mod logging;
pub mod metric;
pub mod price;

pub use emf::EmfLine;
pub use error_code::ErrorCode;
pub use metric::{Metric, MetricUnit};
pub use price::Tariff;
