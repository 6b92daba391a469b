-- Removes the app's table.
SET NOCOUNT ON;
DROP TABLE IF EXISTS [dsr].[Crashes_$(AppId)];
