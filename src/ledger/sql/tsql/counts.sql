-- How many keys there are, and how many of them are retrieved.
SET NOCOUNT ON;
SELECT COUNT_BIG(*) AS [Total], COALESCE(SUM(CAST([HasBeenRetrieved] AS bigint)), 0) AS [Retrieved]
FROM [dsr].[Crashes_$(AppId)];
