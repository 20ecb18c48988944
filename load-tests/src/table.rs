//! A Markdown table whose columns line up in the source as well.

/// What stands in a cell that has no figure.
pub const NOTHING: &str = "–";

pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table and an empty line after it; text to the left, numbers to the right. A column that says nothing in any
    /// row is left out.
    pub fn write(mut self, page: &mut String) {
        let silent = |column: usize| self.rows.iter().all(|row| row.get(column).is_none_or(|cell| cell == NOTHING));
        let keep: Vec<bool> = (0..self.head.len()).map(|column| !silent(column)).collect();
        for row in self.rows.iter_mut().chain([&mut self.head]) {
            let mut kept = keep.iter();
            row.retain(|_| kept.next().copied().unwrap_or(true));
        }
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(4)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let numeric: Vec<bool> = (0..self.head.len()).map(|column| self.is_numeric(column)).collect();
        write_row(page, &self.head, &widths, &numeric);
        for (width, numeric) in widths.iter().zip(&numeric) {
            let rule = if *numeric { format!("{}:", "-".repeat(width - 1)) } else { "-".repeat(*width) };
            page.push_str(&format!("| {rule} "));
        }
        page.push_str("|\n");
        for row in &self.rows {
            write_row(page, row, &widths, &numeric);
        }
        page.push('\n');
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.all(|cell| cell == NOTHING || cell.starts_with(|first: char| first.is_ascii_digit()))
    }
}

fn write_row(page: &mut String, cells: &[String], widths: &[usize], numeric: &[bool]) {
    for ((cell, &width), &numeric) in cells.iter().zip(widths).zip(numeric) {
        page.push_str(&if numeric { format!("| {cell:>width$} ") } else { format!("| {cell:<width$} ") });
    }
    page.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(&["name", "n"]);
        table.row(vec!["a".into(), "10".into()]);
        let mut page = String::new();
        table.write(&mut page);
        assert_eq!(page, "| name |    n |\n| ---- | ---: |\n| a    |   10 |\n\n");
    }

    #[test]
    fn a_column_without_a_figure_is_left_out() {
        let mut table = Table::new(&["a", "b", "c"]);
        table.row(vec!["1".into(), NOTHING.into(), "3".into()]);
        let mut page = String::new();
        table.write(&mut page);
        assert!(page.starts_with("|    a |    c |\n"), "{page}");
    }
}
