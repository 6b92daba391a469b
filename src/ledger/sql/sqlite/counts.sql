-- How many keys there are, and how many of them are retrieved.
SELECT COUNT(*), COALESCE(SUM([HasBeenRetrieved]), 0)
FROM [dsr.Crashes_$(AppId)];
