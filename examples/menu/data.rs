//! Menus from a CSV file with the columns that the New York Public Library gave its menu collection.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use csv::StringRecord;

use crate::model::{Date, Menu};

const COLUMNS: [&str; 7] = ["id", "name", "place", "date", "location", "page_count", "dish_count"];

/// How many rejected rows are shown; the rest are only counted.
const SHOWN: usize = 3;

/// Menus to fill the database with, and what is to be said about them.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    pub(crate) menus: Vec<Menu>,
    /// Rows that could not be read.
    pub(crate) rejected: u64,
    /// Why, for the first few.
    pub(crate) reasons: Vec<String>,
    /// Rows that were read, but whose date means nothing.
    pub(crate) undated: u64,
}

/// Data that cannot be used at all; the message ends with what is expected.
#[derive(Debug)]
pub(crate) struct DataError(String);

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DataError {}

/// Reads the file at `path`.
pub(crate) fn load(path: &Path) -> Result<Collection, DataError> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        DataError(format!(
            "cannot open `{shown}`: {error}; give the path of a CSV file with the columns {}",
            columns()
        ))
    })?;
    read(file).map_err(|DataError(reason)| DataError(format!("cannot use `{shown}`: {reason}")))
}

fn read(source: impl io::Read) -> Result<Collection, DataError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let header = reader.byte_headers().map_err(|error| DataError(error.to_string()))?;
    let layout = Layout::find(header.iter())?;

    let mut collection = Collection::default();
    let mut ids = std::collections::HashSet::new();
    for record in reader.records() {
        let row = match record {
            Ok(record) => layout.menu(&record).and_then(|(menu, is_undated)| {
                if !ids.insert(menu.id) {
                    return Err(reject(&record, format_args!("id {} was there before", menu.id)));
                }
                Ok((menu, is_undated))
            }),
            Err(error) if error.is_io_error() => return Err(unreadable(&error)),
            Err(error) => Err(error.to_string()),
        };
        match row {
            Ok((menu, is_undated)) => {
                collection.undated += u64::from(is_undated);
                collection.menus.push(menu);
            }
            Err(reason) => {
                collection.rejected += 1;
                if collection.reasons.len() < SHOWN {
                    collection.reasons.push(reason);
                }
            }
        }
    }
    if collection.menus.is_empty() {
        let why = collection.reasons.first().map_or_else(String::new, |reason| format!(" ({reason})"));
        return Err(DataError(format!("no row of it is a menu{why}; give at least one with {}", columns())));
    }
    Ok(collection)
}

/// Where in a row the columns are: their order does not matter, nor do further ones.
struct Layout([usize; COLUMNS.len()]);

impl Layout {
    fn find<'a>(header: impl Iterator<Item = &'a [u8]>) -> Result<Self, DataError> {
        let header: Vec<_> = header.map(<[u8]>::trim_ascii).collect();
        let (mut places, mut missing) = ([0; COLUMNS.len()], Vec::new());
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            match header.iter().position(|name| *name == column.as_bytes()) {
                Some(found) => *place = found,
                None => missing.push(format!("`{column}`")),
            }
        }
        if missing.is_empty() {
            return Ok(Self(places));
        }
        let missing = missing.join(", ");
        Err(DataError(format!(
            "its first line lacks {missing}; expected a header with the columns {}",
            columns()
        )))
    }

    /// The menu in a row, and whether it has a date that means nothing; or why it is not one.
    fn menu(&self, record: &StringRecord) -> Result<(Menu, bool), String> {
        let mut fields = [""; COLUMNS.len()];
        for ((field, &place), column) in fields.iter_mut().zip(&self.0).zip(COLUMNS) {
            *field = record
                .get(place)
                .ok_or_else(|| reject(record, format_args!("`{column}` is missing")))?
                .trim();
        }
        let [id, name, place, date, location, page_count, dish_count] = fields;
        if location.is_empty() {
            return Err(reject(record, format_args!("`location` is empty")));
        }
        let parsed = date_from(date);
        let menu = Menu {
            id: number(record, "id", id)?,
            name: name.to_owned(),
            restaurant: location.to_owned(),
            place: place.to_owned(),
            date: parsed,
            page_count: number(record, "page_count", page_count)?,
            dish_count: number(record, "dish_count", dish_count)?,
            revision: 0,
        };
        Ok((menu, parsed.is_none() && !date.is_empty()))
    }
}

/// Reads a number that the database can hold: its integers are signed.
fn number<T: TryFrom<i64>>(record: &StringRecord, column: &str, text: &str) -> Result<T, String> {
    let number = text.parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| reject(record, format_args!("`{column}` is `{text}`, not a number")))
}

/// Reads `1900-04-15`. Years no printed menu can have ("0190", "2928") are typing errors.
fn date_from(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let date = Date {
        year: parts.next()?.parse().ok()?,
        month: parts.next()?.parse().ok()?,
        day: parts.next()?.parse().ok()?,
    };
    let is_sensible =
        (1750..=2050).contains(&date.year) && (1..=12).contains(&date.month) && (1..=31).contains(&date.day);
    is_sensible.then_some(date)
}

fn reject(record: &StringRecord, why: fmt::Arguments<'_>) -> String {
    let line = record.position().map_or(0, csv::Position::line);
    format!("line {line}: {why}")
}

fn unreadable(error: &csv::Error) -> DataError {
    DataError(format!("{error}; give a CSV file with the columns {}", columns()))
}

fn columns() -> String {
    COLUMNS.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "id,name,sponsor,place,date,location,page_count,dish_count\n";

    fn read_rows(rows: &str) -> Result<Collection, DataError> {
        read(format!("{HEADER}{rows}").as_bytes())
    }

    #[test]
    fn a_row_becomes_a_menu() {
        let rows = "12463,\"Easter, \"\"late\"\"\",HOTEL EASTMAN,\"HOT SPRINGS, AR\",1900-04-15,Hotel Eastman,2,67\n";

        let collection = read_rows(rows).unwrap();

        let expected = Menu {
            id: 12_463,
            name: "Easter, \"late\"".to_owned(),
            restaurant: "Hotel Eastman".to_owned(),
            place: "HOT SPRINGS, AR".to_owned(),
            date: Some(Date { year: 1900, month: 4, day: 15 }),
            page_count: 2,
            dish_count: 67,
            revision: 0,
        };
        assert_eq!(collection.menus, [expected]);
        assert_eq!((collection.rejected, collection.undated), (0, 0));
    }

    #[test]
    fn columns_are_found_by_name_behind_a_byte_order_mark() {
        let text = "\u{feff}id,location,dish_count,page_count,date,place,name\n7,Ritz,3,1,,,\n";

        let collection = read(text.as_bytes()).unwrap();

        let menu = &collection.menus[0];
        assert_eq!((menu.id, menu.restaurant.as_str(), menu.dish_count, menu.page_count), (7, "Ritz", 3, 1));
    }

    #[test]
    fn empty_names_places_and_dates_are_kept() {
        let collection = read_rows("1,,,,,Ritz,2,67\n").unwrap();

        let menu = &collection.menus[0];
        assert_eq!((menu.name.as_str(), menu.place.as_str(), menu.date), ("", "", None));
        assert_eq!(collection.undated, 0);
    }

    #[test]
    fn dates_that_mean_nothing_are_counted_and_left_out() {
        let collection = read_rows(
            "1,,,,0190-03-06,Ritz,2,67\n2,,,,2928-03-26,Ritz,2,67\n3,,,,April,Ritz,2,67\n4,,,,1900-13-01,Ritz,2,67\n",
        )
        .unwrap();

        assert!(collection.menus.iter().all(|menu| menu.date.is_none()));
        assert_eq!((collection.undated, collection.rejected), (4, 0));
    }

    #[test]
    fn bad_rows_are_counted_and_the_first_few_explained() {
        let rows =
            "1,,,,,Ritz,2,67\none,,,,,Ritz,2,67\n2,,,,,,2,67\n1,,,,,Ritz,2,67\n3,,,,,Ritz,2,-5\n4,,,\n";

        let collection = read_rows(rows).unwrap();

        assert_eq!(collection.menus.len(), 1);
        assert_eq!(collection.rejected, 5);
        assert_eq!(
            collection.reasons,
            [
                "line 3: `id` is `one`, not a number",
                "line 4: `location` is empty",
                "line 5: id 1 was there before"
            ]
        );
    }

    #[test]
    fn a_row_that_is_not_utf8_is_one_bad_row() {
        let mut bytes = HEADER.as_bytes().to_vec();
        bytes.extend_from_slice(b"1,caf\xe9,,,,Ritz,2,67\n2,,,,,Ritz,2,67\n");

        let collection = read(bytes.as_slice()).unwrap();

        assert_eq!((collection.menus.len(), collection.rejected), (1, 1));
    }

    #[test]
    fn wrong_columns_get_an_error_that_says_what_is_expected() {
        let error = read("id,title\n1,Easter\n".as_bytes()).unwrap_err().to_string();

        assert!(error.starts_with("its first line lacks `name`, `place`"), "{error}");
        assert!(error.ends_with("id, name, place, date, location, page_count, dish_count"), "{error}");
    }

    #[test]
    fn nothing_to_read_is_an_error() {
        assert!(read("".as_bytes()).unwrap_err().to_string().contains("expected a header"));
        assert!(read_rows("").unwrap_err().to_string().starts_with("no row of it is a menu; "));
        assert!(read_rows("x,,,,,Ritz,2,67\n").unwrap_err().to_string().contains("(line 2: `id` is `x`"));
    }
}
