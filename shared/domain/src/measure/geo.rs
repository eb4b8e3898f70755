//! Distance between two places.

use crate::event::Place;

/// The earth's mean radius (IUGG's R1), km.
const EARTH_RADIUS_KM: f64 = 6371.0088;
/// A place's numbers in a degree.
const STEPS_PER_DEGREE: f64 = 10_000.0;

/// Great-circle distance in km, by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", 1984).
pub(super) fn distance_km(a: Place, b: Place) -> f64 {
    if a == b {
        return 0.0;
    }
    let radians = |steps: i32| (f64::from(steps) / STEPS_PER_DEGREE).to_radians();
    let (latitude_a, latitude_b) = (radians(a.latitude_e4), radians(b.latitude_e4));
    let half_latitude = libm::sin((latitude_b - latitude_a) / 2.0);
    let half_longitude = libm::sin((radians(b.longitude_e4) - radians(a.longitude_e4)) / 2.0);
    let haversine =
        half_latitude * half_latitude + libm::cos(latitude_a) * libm::cos(latitude_b) * half_longitude * half_longitude;
    // Rounding may lift antipodes a bit over 1.
    2.0 * EARTH_RADIUS_KM * libm::asin(haversine.sqrt().min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(latitude_e4: i32, longitude_e4: i32) -> Place {
        Place {
            latitude_e4,
            longitude_e4,
        }
    }

    #[test]
    fn known_distances() {
        let cases = [
            // A quarter of a meridian, half of the equator, across the date line, pole to pole.
            (
                place(0, 0),
                place(900_000, 0),
                std::f64::consts::FRAC_PI_2 * EARTH_RADIUS_KM,
            ),
            (place(0, 0), place(0, 1_800_000), std::f64::consts::PI * EARTH_RADIUS_KM),
            (
                place(0, 1_799_000),
                place(0, -1_799_000),
                0.2_f64.to_radians() * EARTH_RADIUS_KM,
            ),
            (
                place(900_000, 0),
                place(-900_000, 450_000),
                std::f64::consts::PI * EARTH_RADIUS_KM,
            ),
            // Paris and New York: 5,837 km on the sphere.
            (place(488_566, 23_522), place(407_128, -740_060), 5837.0),
        ];
        for (a, b, km) in cases {
            assert!(
                (distance_km(a, b) - km).abs() < 1.0,
                "{a:?} {b:?}: {} {km}",
                distance_km(a, b)
            );
            assert!((distance_km(a, b) - distance_km(b, a)).abs() < 1e-9);
        }
    }
}
