//! The commands on positions, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, MOVABLEKEYS, READONLY, WRITE};
use super::{Spec, keyword, range};
use crate::redis::engine::cmd::{geo, geo_search};

const IN_CIRCLE: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.";
const IN_SHAPE: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape";

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("geoadd", -5, WRITE | DENYOOM, "write geo slow", geo::geoadd)
        .docs("3.2.0", "geo", "O(log(N)) for each item added, where N is the number of elements in the sorted set.", "Add one or more geospatial items in the geospatial index represented using a sorted set")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("geodist", -4, READONLY, "read geo slow", geo::geodist)
        .docs("3.2.0", "geo", "O(log(N))", "Returns the distance between two members of a geospatial index")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("geohash", -2, READONLY, "read geo slow", geo::geohash)
        .docs("3.2.0", "geo", "O(log(N)) for each member requested, where N is the number of elements in the sorted set.", "Returns members of a geospatial index as standard geohash strings")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("geopos", -2, READONLY, "read geo slow", geo::geopos)
        .docs("3.2.0", "geo", "O(N) where N is the number of members requested.", "Returns longitude and latitude of members of a geospatial index")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("georadius", -6, WRITE | DENYOOM | MOVABLEKEYS, "write geo slow", geo_search::georadius)
        .docs("3.2.0", "geo", IN_CIRCLE, "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a point")
        .keys(&[range(1, 0, 1, "RO access"), keyword("STORE", 6, 0, "OW update"), keyword("STOREDIST", 6, 0, "OW update")]),
    Spec::new("georadius_ro", -6, READONLY, "read geo slow", geo_search::georadius_ro)
        .docs("3.2.10", "geo", IN_CIRCLE, "A read-only variant for GEORADIUS")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("georadiusbymember", -5, WRITE | DENYOOM | MOVABLEKEYS, "write geo slow", geo_search::georadiusbymember)
        .docs("3.2.0", "geo", IN_CIRCLE, "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a member")
        .keys(&[range(1, 0, 1, "RO access"), keyword("STORE", 5, 0, "OW update"), keyword("STOREDIST", 5, 0, "OW update")]),
    Spec::new("georadiusbymember_ro", -5, READONLY, "read geo slow", geo_search::georadiusbymember_ro)
        .docs("3.2.10", "geo", IN_CIRCLE, "A read-only variant for GEORADIUSBYMEMBER")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("geosearch", -7, READONLY, "read geo slow", geo_search::geosearch)
        .docs("6.2.0", "geo", IN_SHAPE, "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("geosearchstore", -8, WRITE | DENYOOM, "write geo slow", geo_search::geosearchstore)
        .docs("6.2.0", "geo", IN_SHAPE, "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle, and store the result in another key.")
        .keys(&[range(1, 0, 1, "OW update"), range(2, 0, 1, "RO access")]),
];
