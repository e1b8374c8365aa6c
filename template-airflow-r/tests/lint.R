# Yours: no update of the template changes this file.
# Reads the code for mistakes and for style, and fails if it finds any: Rscript tests/lint.R
# styler::style_dir(filetype = "R") puts most matters of style right by itself.

if (!requireNamespace("lintr", quietly = TRUE)) {
  renv::install("lintr@3.2.0", prompt = FALSE)
}
found <- lintr::lint_dir(".", relative_path = TRUE)
print(found)
quit(save = "no", status = as.integer(length(found) > 0))
