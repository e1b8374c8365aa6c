# Yours: no update of the template changes this file.
# How many hearings each court had, and how long they were on average.
#
# hearings: a data frame with a row for each hearing, and the columns court and minutes
# returns: a data frame with a row for each court: court, hearings, mean_minutes
summarise_hearings <- function(hearings) {
  missing <- setdiff(c("court", "minutes"), names(hearings))
  if (length(missing) > 0) {
    stop("the hearings have no column called ", paste(missing, collapse = " and "), call. = FALSE)
  }
  if (!is.numeric(hearings$minutes)) {
    stop("the column minutes holds something that is not a number", call. = FALSE)
  }
  by_court <- split(hearings$minutes, hearings$court)
  data.frame(
    court = names(by_court),
    hearings = lengths(by_court),
    mean_minutes = round(vapply(by_court, mean, numeric(1)), 1),
    row.names = NULL
  )
}
