-- Removes the app's table.
DROP TABLE IF EXISTS [dsr.Crashes_$(AppId)];
