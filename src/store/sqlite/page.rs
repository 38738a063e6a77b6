//! The unused part of a b-tree page ([file format](https://sqlite.org/fileformat2.html#b_tree_pages)).
//!
//! When SQLite moves rows between pages, it leaves their bytes in the gap between the cell pointers and the cells.
//! `secure_delete` does not reach there.

/// The length of the file's own header, which comes first on page 1.
const FILE_HEADER_BYTES: usize = 100;

/// Overwrites the gap of a page with zeros. False if there was nothing to overwrite, or the page is not a b-tree page.
pub(super) fn clear_gap(number: i32, page: &mut [u8]) -> bool {
    let Some(gap) = gap(number, page).and_then(|(start, end)| page.get_mut(start..end)) else {
        return false;
    };
    let is_clear = gap.iter().all(|byte| *byte == 0);
    gap.fill(0);
    !is_clear
}

/// Where the gap begins and ends; `None` if this is not a b-tree page.
fn gap(number: i32, page: &[u8]) -> Option<(usize, usize)> {
    let start = if number == 1 { FILE_HEADER_BYTES } else { 0 };
    let header = page.get(start..)?;
    let header_bytes = match header.first()? {
        0x02 | 0x05 => 12,
        0x0a | 0x0d => 8,
        _ => return None,
    };
    let word = |offset: usize| {
        Some(usize::from(u16::from_be_bytes([*header.get(offset)?, *header.get(offset + 1)?])))
    };
    let (first_free, cells, fragments) = (word(1)?, word(3)?, *header.get(7)?);
    // Zero stands for 65,536.
    let content = match word(5)? {
        0 => 65_536,
        content => content,
    };
    let pointers_end = start + header_bytes + 2 * cells;
    // A page of another kind may begin with the same byte; what follows then hardly fits together.
    let is_plausible = pointers_end <= content
        && content <= page.len()
        && (first_free == 0 || (content..page.len()).contains(&first_free))
        && fragments <= 60;
    is_plausible.then_some((pointers_end, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(cells: u8, content: u16) -> Vec<u8> {
        let mut page = vec![0xaa; 512];
        page[..8].copy_from_slice(&[0x0d, 0, 0, 0, cells, 0, 0, 0]);
        page[5..7].copy_from_slice(&content.to_be_bytes());
        page
    }

    #[test]
    fn only_the_gap_is_cleared() {
        let mut page = leaf(3, 500);
        assert!(clear_gap(2, &mut page));
        assert!(page[14..500].iter().all(|byte| *byte == 0));
        assert!(page[500..].iter().all(|byte| *byte == 0xaa) && page[8..14].iter().all(|byte| *byte == 0xaa));
        assert!(!clear_gap(2, &mut page), "it is clear now");
    }

    #[test]
    fn the_header_of_the_file_comes_first_on_page_1() {
        let mut page = [vec![0xbb; 100], leaf(1, 400)].concat();
        page.truncate(512);
        assert!(clear_gap(1, &mut page));
        assert!(page[..100].iter().all(|byte| *byte == 0xbb) && page[110..400].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_page_of_another_kind_is_left_as_it_is() {
        let mut overflow = vec![0xcc; 512];
        overflow[..4].copy_from_slice(&[0, 0, 0, 7]);
        let mut implausible = leaf(200, 100);
        let mut too_far = leaf(1, 600);
        for page in [&mut overflow, &mut implausible, &mut too_far, &mut Vec::new(), &mut vec![0x0d; 3]] {
            let before = page.clone();
            assert!(!clear_gap(3, page));
            assert_eq!(*page, before);
        }
    }
}
