//! Positions on the earth as numbers of up to 52 bits, behaving as `geohash.c` and `geohash_helper.c` of Redis 7.0.
//!
//! The bits of latitude and longitude take turns, so positions that share leading bits share a cell. Formulas
//! and their order are the real server's, since the last digits of distances show both. Sine and cosine are
//! those of the C library, as there.

use std::f64::consts::PI;

/// Degrees a position may have: the limits of EPSG:3857.
pub(crate) const LATITUDES: Range = Range { min: -85.051_128_78, max: 85.051_128_78 };
pub(crate) const LONGITUDES: Range = Range { min: -180.0, max: 180.0 };
/// Bits of each coordinate in a score.
pub(crate) const STEPS: u32 = 26;

const EARTH_RADIUS_METRES: f64 = 6_372_797.560_856;
const MERCATOR_MAX: f64 = 20_037_726.37;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Degrees of longitude or latitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Range {
    pub(crate) fn contains(self, degrees: f64) -> bool {
        self.min <= degrees && degrees <= self.max
    }

    /// Where degrees lie in the range, in parts of 2^`steps`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range, so not negative"
    )]
    fn part(self, degrees: f64, steps: u32) -> u32 {
        ((degrees - self.min) / (self.max - self.min) * parts(steps)) as u32
    }

    /// The degrees of a part of 2^`steps`.
    fn of_part(self, part: u32, steps: u32) -> Self {
        let at = |part: u32| self.min + (f64::from(part) / parts(steps)) * (self.max - self.min);
        Self { min: at(part), max: at(part.wrapping_add(1)) }
    }

    fn middle(self, bounds: Self) -> f64 {
        ((self.min + self.max) / 2.0).clamp(bounds.min, bounds.max)
    }
}

fn parts(steps: u32) -> f64 {
    2_f64.powi(i32::try_from(steps).unwrap_or(0))
}

/// Longitude and latitude in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Position {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

impl Position {
    /// The position a score stands for: the middle of its cell.
    pub(crate) fn of_score(score: f64) -> Self {
        let area = Cell { bits: to_bits(score), steps: STEPS }.area();
        Self { longitude: area.longitude.middle(LONGITUDES), latitude: area.latitude.middle(LATITUDES) }
    }

    /// The score that stands for the position.
    pub(crate) fn score(self) -> u64 {
        Cell::around(self, STEPS).lowest()
    }

    /// Metres to another position, over a ball as large as the earth.
    pub(crate) fn metres_to(self, other: Self) -> f64 {
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        if v == 0.0 {
            return latitude_metres(self.latitude, other.latitude);
        }
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS_METRES * a.sqrt().asin()
    }

    /// The 11 characters of the geohash that others use, which counts latitudes up to the poles.
    pub(crate) fn geohash(self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        const POLES: Range = Range { min: -90.0, max: 90.0 };
        let bits = interleaved(POLES.part(self.latitude, STEPS), LONGITUDES.part(self.longitude, STEPS));
        let letters = (1..=10).map(|at| char::from(ALPHABET[(bits >> (52 - at * 5) & 0x1f) as usize]));
        // There are bits for ten characters and two more.
        letters.chain(['0']).collect()
    }
}

pub(crate) fn latitude_metres(from: f64, to: f64) -> f64 {
    EARTH_RADIUS_METRES * (radians(to) - radians(from)).abs()
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

/// A float as x86-64 turns it into 64 bits without sign: what is negative wraps around.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each case is checked")]
fn to_bits(value: f64) -> u64 {
    const TOP: f64 = 9_223_372_036_854_775_808.0;
    if value.is_nan() || value < -TOP {
        1 << 63
    } else if value < TOP {
        (value as i64).cast_unsigned()
    } else if value < TOP * 2.0 {
        value as u64
    } else {
        0
    }
}

/// A cell of a grid of 2^`steps` columns and rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    bits: u64,
    steps: u32,
}

/// What a cell covers.
#[derive(Clone, Copy, Debug)]
struct Area {
    longitude: Range,
    latitude: Range,
}

impl Cell {
    fn around(position: Position, steps: u32) -> Self {
        let (latitude, longitude) =
            (LATITUDES.part(position.latitude, steps), LONGITUDES.part(position.longitude, steps));
        Self { bits: interleaved(latitude, longitude), steps }
    }

    fn area(self) -> Area {
        let (latitude, longitude) = (gathered(self.bits), gathered(self.bits >> 1));
        Area {
            longitude: LONGITUDES.of_part(longitude, self.steps),
            latitude: LATITUDES.of_part(latitude, self.steps),
        }
    }

    /// The lowest score in the cell.
    fn lowest(self) -> u64 {
        self.bits << (52 - self.steps * 2)
    }

    /// The scores in the cell: from the first to below the second.
    #[expect(clippy::cast_precision_loss, reason = "scores have 52 bits")]
    pub(crate) fn scores(self) -> (f64, f64) {
        let next = Self { bits: self.bits.wrapping_add(1), ..self };
        (self.lowest() as f64, next.lowest() as f64)
    }

    /// The cell some columns to the east and some rows to the north, each -1, 0 or 1; the grid wraps around.
    fn moved(self, east: i8, north: i8) -> Self {
        let unused = 64 - self.steps * 2;
        let shift = |own: u64, others: u64, by: i8| match by {
            0 => own,
            1.. => own.wrapping_add((others >> unused) + 1) & (!others >> unused),
            _ => (own | others >> unused).wrapping_sub((others >> unused) + 1) & (!others >> unused),
        };
        let columns = shift(self.bits & !EVEN, EVEN, east);
        let rows = shift(self.bits & EVEN, !EVEN, north);
        Self { bits: columns | rows, ..self }
    }
}

/// The bits of two numbers in turns; those of the first are the even ones.
fn interleaved(even: u32, odd: u32) -> u64 {
    let spread = |number: u32| (0..32).fold(0, |bits, at| bits | u64::from(number >> at & 1) << (2 * at));
    spread(even) | spread(odd) << 1
}

/// The even bits.
fn gathered(bits: u64) -> u32 {
    (0..32).fold(0, |number, at| number | u32::from(bits >> (2 * at) & 1 == 1) << at)
}

/// What is searched: a circle, or a box whose sides run along meridians and parallels. Lengths in metres.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

impl Shape {
    /// The distance of a position from the centre, if it lies in the shape.
    pub(crate) fn reaches(self, centre: Position, position: Position) -> Option<f64> {
        match self {
            Self::Circle { radius } => {
                let distance = centre.metres_to(position);
                (distance <= radius || distance.is_nan() || radius.is_nan()).then_some(distance)
            }
            Self::Box { width, height } => {
                let column = Position { longitude: centre.longitude, ..position };
                let too_far = latitude_metres(position.latitude, centre.latitude) > height / 2.0
                    || position.metres_to(column) > width / 2.0;
                (!too_far).then(|| centre.metres_to(position))
            }
        }
    }

    /// The degrees that the shape reaches to.
    fn bounds(self, centre: Position) -> Area {
        let (width, height) = match self {
            Self::Circle { radius } => (radius, radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let up = degrees(height / EARTH_RADIUS_METRES);
        // Meridians are closest at the side nearer to the pole.
        let nearer = if centre.latitude < 0.0 { centre.latitude - up } else { centre.latitude + up };
        let across = degrees(width / EARTH_RADIUS_METRES / radians(nearer).cos());
        Area {
            longitude: Range { min: centre.longitude - across, max: centre.longitude + across },
            latitude: Range { min: centre.latitude - up, max: centre.latitude + up },
        }
    }

    /// The finest grid of which nine cells are likely to cover the shape.
    fn steps(self, latitude: f64) -> u32 {
        let mut metres = match self {
            Self::Circle { radius } => radius,
            Self::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        if metres == 0.0 {
            return STEPS;
        }
        let mut steps = 1_i32;
        while metres < MERCATOR_MAX {
            metres *= 2.0;
            steps += 1;
        }
        steps -= 2 + i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
        steps.clamp(1, 26).cast_unsigned()
    }

    /// The cells that cover the shape: the centre's, and those around it that are needed.
    pub(crate) fn cells(self, centre: Position) -> Vec<Cell> {
        const NORTH: (i8, i8) = (0, 1);
        const SOUTH: (i8, i8) = (0, -1);
        const EAST: (i8, i8) = (1, 0);
        const WEST: (i8, i8) = (-1, 0);
        let bounds = self.bounds(centre);
        let mut steps = self.steps(centre.latitude);
        let mut cell = Cell::around(centre, steps);
        let beside = |(east, north): (i8, i8)| cell.moved(east, north).area();
        let too_small = beside(NORTH).latitude.max < bounds.latitude.max
            || beside(SOUTH).latitude.min > bounds.latitude.min
            || beside(EAST).longitude.max < bounds.longitude.max
            || beside(WEST).longitude.min > bounds.longitude.min;
        if steps > 1 && too_small {
            steps -= 1;
            cell = Cell::around(centre, steps);
        }
        let area = cell.area();
        let is_needed = |&(east, north): &(i8, i8)| {
            steps < 2
                || !(north < 0 && area.latitude.min < bounds.latitude.min
                    || north > 0 && area.latitude.max > bounds.latitude.max
                    || east < 0 && area.longitude.min < bounds.longitude.min
                    || east > 0 && area.longitude.max > bounds.longitude.max)
        };
        // The order in which results come that nobody asked to sort.
        let order = [(0, 0), NORTH, SOUTH, EAST, WEST, (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut cells: Vec<Cell> = Vec::new();
        for (east, north) in order.into_iter().filter(is_needed) {
            let next = cell.moved(east, north);
            // In a small grid neighbours are the same cell. The first one is not looked at again.
            if cells.len() < 2 || cells.last() != Some(&next) {
                cells.push(next);
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_and_distances_are_those_of_the_real_server() {
        let palermo = Position { longitude: 13.361389, latitude: 38.115556 };
        let catania = Position { longitude: 15.087269, latitude: 37.502669 };
        assert_eq!((palermo.score(), catania.score()), (3_479_099_956_230_698, 3_479_447_370_796_909));
        let stored = |position: Position| {
            #[expect(clippy::cast_precision_loss, reason = "52 bits")]
            Position::of_score(position.score() as f64)
        };
        let metres = stored(palermo).metres_to(stored(catania));
        assert_eq!(format!("{metres:.4}"), "166274.1516");
        assert_eq!(stored(palermo).geohash(), "sqc8b49rny0");
    }

    fn anywhere() -> impl Strategy<Value = Position> {
        (-180_f64..180.0, -85_f64..85.0).prop_map(|(longitude, latitude)| Position { longitude, latitude })
    }

    proptest! {
        #[test]
        fn a_score_leads_back_to_its_position(position in anywhere()) {
            #[expect(clippy::cast_precision_loss, reason = "52 bits")]
            let back = Position::of_score(position.score() as f64);
            prop_assert!((back.longitude - position.longitude).abs() < 6e-6);
            prop_assert!((back.latitude - position.latitude).abs() < 3e-6);
        }

        #[test]
        fn the_cells_of_a_small_circle_hold_every_position_in_it(
            centre in (-170_f64..170.0, -60_f64..60.0),
            (east, north) in (-1_f64..1.0, -1_f64..1.0),
            radius in 1_f64..100_000.0,
        ) {
            let centre = Position { longitude: centre.0, latitude: centre.1 };
            let reach = radius / EARTH_RADIUS_METRES * 180.0 / PI;
            let position =
                Position { longitude: centre.longitude + east * reach, latitude: centre.latitude + north * reach };
            let shape = Shape::Circle { radius };
            prop_assume!(shape.reaches(centre, position).is_some());
            #[expect(clippy::cast_precision_loss, reason = "52 bits")]
            let score = position.score() as f64;
            let is_in = |cell: &Cell| {
                let (first, end) = cell.scores();
                first <= score && score < end
            };
            prop_assert!(shape.cells(centre).iter().any(is_in));
        }
    }
}
