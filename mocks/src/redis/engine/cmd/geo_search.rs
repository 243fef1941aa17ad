//! Searches for members near a position, behaving as `geo.c` of Redis 7.0.
//!
//! Options are read one by one as the real server reads them, since the first one that is wrong decides the
//! error, and whether the key exists decides which of them are looked at.

use bytes::Bytes;

use super::geo::{coordinates, distance, metres_in, position};
use super::partial_sort::partial_sort;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::geohash::{Position, Shape};
use crate::redis::engine::notify::{GENERIC, ZSET};
use crate::redis::engine::number::{score, strict_i64};
use crate::redis::resp::Reply;
use crate::redis::store::Zset;

/// A command of the family.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `GEORADIUS`, and whether it may store.
    Coordinates {
        stores: bool,
    },
    /// `GEORADIUSBYMEMBER`, and whether it may store.
    Member {
        stores: bool,
    },
    Search,
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }

    fn may_store(self) -> bool {
        matches!(self, Self::Coordinates { stores: true } | Self::Member { stores: true })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Nearest,
    Farthest,
}

/// What a command was told.
#[derive(Default)]
struct Query {
    centre: Option<Position>,
    /// Lengths in the unit of the command.
    shape: Option<Shape>,
    /// Metres in that unit.
    unit: f64,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    order: Option<Order>,
    /// Most results; 0 for all.
    count: usize,
    any: bool,
    target: Option<Bytes>,
    stores_distance: bool,
}

/// A member that was found.
struct Found {
    member: Bytes,
    score: f64,
    position: Position,
    metres: f64,
}

pub(crate) fn georadius(call: &mut Call<'_>) -> Outcome {
    run(call, Form::Coordinates { stores: true })
}

pub(crate) fn georadius_ro(call: &mut Call<'_>) -> Outcome {
    run(call, Form::Coordinates { stores: false })
}

pub(crate) fn georadiusbymember(call: &mut Call<'_>) -> Outcome {
    run(call, Form::Member { stores: true })
}

pub(crate) fn georadiusbymember_ro(call: &mut Call<'_>) -> Outcome {
    run(call, Form::Member { stores: false })
}

pub(crate) fn geosearch(call: &mut Call<'_>) -> Outcome {
    run(call, Form::Search)
}

pub(crate) fn geosearchstore(call: &mut Call<'_>) -> Outcome {
    run(call, Form::SearchStore)
}

fn run(call: &mut Call<'_>, form: Form) -> Outcome {
    let source = if form == Form::SearchStore { 2 } else { 1 };
    let zset = call.share_as::<Zset>(&call.args[source])?;
    let zset = zset.as_deref();
    let mut query = Query { unit: 1.0, ..Query::default() };
    let options = query.begin(call.args, form, zset)?;
    query.read(options, form, zset)?;
    query.check(&call.args[0], form)?;
    let found = match zset {
        None => Vec::new(),
        Some(zset) => query.find(zset),
    };
    let Some(target) = query.target.take() else { return Ok(query.answer(found)) };
    let mut result = Zset::skiplist();
    for item in &found {
        let score = if query.stores_distance { item.metres / query.unit } else { item.score };
        result.set(item.member.clone(), score, (0, 0));
    }
    if !found.is_empty() {
        call.store_as(&target, result.packed(call.engine.config.zset_listpack));
        call.notify(ZSET, if form.is_search() { "geosearchstore" } else { "georadiusstore" }, &target);
    } else if call.delete(&target) {
        call.notify(GENERIC, "del", &target);
    }
    Ok(Reply::count(found.len()))
}

impl Query {
    /// Reads what has a fixed place; answers the options behind it.
    fn begin<'a>(
        &mut self,
        args: &'a [Bytes],
        form: Form,
        zset: Option<&Zset>,
    ) -> Result<&'a [Bytes], CmdError> {
        Ok(match form {
            Form::Coordinates { .. } => {
                self.centre = Some(position(&args[2], &args[3])?);
                self.read_radius(&args[4], &args[5])?;
                &args[6..]
            }
            Form::Member { .. } => {
                if zset.is_some() {
                    self.read_member(&args[2], zset)?;
                    self.read_radius(&args[3], &args[4])?;
                }
                &args[5..]
            }
            Form::Search => &args[2..],
            Form::SearchStore => {
                self.target = Some(args[1].clone());
                &args[3..]
            }
        })
    }

    fn read(&mut self, mut rest: &[Bytes], form: Form, zset: Option<&Zset>) -> Result<(), CmdError> {
        const NOT_POSITIVE: CmdError = CmdError::fixed("ERR COUNT must be > 0");
        let (mut from_member, mut from_position, mut by_radius, mut by_box) = (false, false, false, false);
        while let Some((word, tail)) = rest.split_first() {
            rest = match tail {
                tail if self.set_flag(word, form) => tail,
                [count, tail @ ..] if is(word, "count") => {
                    let count = strict_i64(count).ok_or(CmdError::NOT_INTEGER)?;
                    self.count =
                        usize::try_from(count).ok().filter(|count| *count > 0).ok_or(NOT_POSITIVE)?;
                    tail
                }
                [key, tail @ ..] if form.may_store() && (is(word, "store") || is(word, "storedist")) => {
                    self.target = Some(key.clone());
                    self.stores_distance = is(word, "storedist");
                    tail
                }
                [member, tail @ ..] if form.is_search() && is(word, "frommember") && !from_position => {
                    from_member = true;
                    self.read_member(member, zset)?;
                    tail
                }
                [longitude, latitude, tail @ ..]
                    if form.is_search() && is(word, "fromlonlat") && !from_member =>
                {
                    from_position = true;
                    self.centre = Some(position(longitude, latitude)?);
                    tail
                }
                [radius, unit, tail @ ..] if form.is_search() && is(word, "byradius") && !by_box => {
                    by_radius = true;
                    self.read_radius(radius, unit)?;
                    tail
                }
                [width, height, unit, tail @ ..] if form.is_search() && is(word, "bybox") && !by_radius => {
                    by_box = true;
                    self.read_box(width, height, unit)?;
                    tail
                }
                _ => return Err(CmdError::SYNTAX),
            };
        }
        Ok(())
    }

    /// Notes an option that is one word; whether it is one.
    fn set_flag(&mut self, word: &[u8], form: Form) -> bool {
        match word {
            word if is(word, "withdist") => self.with_distance = true,
            word if is(word, "withhash") => self.with_hash = true,
            word if is(word, "withcoord") => self.with_position = true,
            word if is(word, "any") => self.any = true,
            word if is(word, "asc") => self.order = Some(Order::Nearest),
            word if is(word, "desc") => self.order = Some(Order::Farthest),
            word if is(word, "storedist") && form == Form::SearchStore => self.stores_distance = true,
            _ => return false,
        }
        true
    }

    fn read_member(&mut self, member: &Bytes, zset: Option<&Zset>) -> Result<(), CmdError> {
        const NO_MEMBER: CmdError = CmdError::fixed("ERR could not decode requested zset member");
        // Without a key there is nothing to look up, but the rest is still checked.
        let score = zset.map_or(Ok(0.0), |zset| zset.score(member).ok_or(NO_MEMBER))?;
        self.centre = Some(Position::of_score(score));
        Ok(())
    }

    fn read_radius(&mut self, radius: &[u8], unit: &[u8]) -> Result<(), CmdError> {
        const NOT_A_NUMBER: CmdError = CmdError::fixed("ERR need numeric radius");
        const NEGATIVE: CmdError = CmdError::fixed("ERR radius cannot be negative");
        let radius = score(radius).ok_or(NOT_A_NUMBER)?;
        if radius < 0.0 {
            return Err(NEGATIVE);
        }
        self.unit = metres_in(unit)?;
        self.shape = Some(Shape::Circle { radius: radius * self.unit });
        Ok(())
    }

    fn read_box(&mut self, width: &[u8], height: &[u8], unit: &[u8]) -> Result<(), CmdError> {
        const NO_WIDTH: CmdError = CmdError::fixed("ERR need numeric width");
        const NO_HEIGHT: CmdError = CmdError::fixed("ERR need numeric height");
        const NEGATIVE: CmdError = CmdError::fixed("ERR height or width cannot be negative");
        let (width, height) = (score(width).ok_or(NO_WIDTH)?, score(height).ok_or(NO_HEIGHT)?);
        if width < 0.0 || height < 0.0 {
            return Err(NEGATIVE);
        }
        self.unit = metres_in(unit)?;
        self.shape = Some(Shape::Box { width: width * self.unit, height: height * self.unit });
        Ok(())
    }

    fn check(&self, name: &[u8], form: Form) -> Result<(), CmdError> {
        let name = String::from_utf8_lossy(name);
        if self.target.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let what = if form == Form::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            let why = "is not compatible with WITHDIST, WITHHASH and WITHCOORD options";
            return Err(CmdError::new(format!("ERR {what} {why}")));
        }
        if form.is_search() && self.centre.is_none() {
            let why = "exactly one of FROMMEMBER or FROMLONLAT can be specified for";
            return Err(CmdError::new(format!("ERR {why} {name}")));
        }
        if form.is_search() && self.shape.is_none() {
            let why = "exactly one of BYRADIUS and BYBOX can be specified for";
            return Err(CmdError::new(format!("ERR {why} {name}")));
        }
        if self.any && self.count == 0 {
            return Err(CmdError::fixed("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    fn find(&self, zset: &Zset) -> Vec<Found> {
        let (Some(centre), Some(shape)) = (self.centre, self.shape) else { return Vec::new() };
        let enough = if self.any { self.count } else { usize::MAX };
        let mut found: Vec<Found> = Vec::new();
        for cell in shape.cells(centre) {
            let (first, end) = cell.scores();
            let ranks = zset.partition_point(|item| item.score < first)
                ..zset.partition_point(|item| item.score < end);
            for rank in ranks {
                if found.len() >= enough {
                    break;
                }
                let Some(item) = zset.at(rank) else { break };
                let position = Position::of_score(item.score);
                if let Some(metres) = shape.reaches(centre, position) {
                    found.push(Found { member: item.member.clone(), score: item.score, position, metres });
                }
            }
        }
        let wanted = if self.count == 0 { found.len() } else { found.len().min(self.count) };
        // The nearest ones are meant by a count, unless any will do.
        let nearest = (self.count > 0 && !self.any).then_some(Order::Nearest);
        if let Some(order) = self.order.or(nearest) {
            let by_distance = |left: &Found, right: &Found| {
                let order_of = left.metres.total_cmp(&right.metres);
                if order == Order::Nearest { order_of } else { order_of.reverse() }
            };
            partial_sort(&mut found, 0..wanted, by_distance);
        }
        found.truncate(wanted);
        found
    }

    fn answer(&self, found: Vec<Found>) -> Reply {
        let plain = !(self.with_distance || self.with_hash || self.with_position);
        let item = |item: Found| {
            let mut fields = vec![Reply::Bulk(item.member)];
            if self.with_distance {
                fields.push(distance(item.metres / self.unit));
            }
            #[expect(clippy::cast_possible_truncation, reason = "scores of positions have 52 bits")]
            if self.with_hash {
                fields.push(Reply::Int(item.score as i64));
            }
            if self.with_position {
                fields.push(coordinates(item.position));
            }
            if plain { fields.swap_remove(0) } else { Reply::Array(fields) }
        };
        Reply::Array(found.into_iter().map(item).collect())
    }
}
